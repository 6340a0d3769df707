import time
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.db.models import Count
from django.utils import timezone

from uploads.models import Status, Upload


class Command(BaseCommand):
    help = "Waits until no new upload is PENDING or PROCESSING, and prints the progress."

    def add_arguments(self, parser):
        parser.add_argument("seconds", type=float, help="how long at most")

    def handle(self, *, seconds, **options):
        until, printed = time.monotonic() + seconds, ""
        new = Upload.objects.filter(created_at__gt=timezone.now() - timedelta(minutes=10))
        while True:
            count = dict(new.values_list("status").annotate(Count("pk")).order_by())
            progress = ", ".join(f"{count.get(status, 0)} {status}" for status in Status.values)
            if progress != printed:
                self.stdout.write(f"  uploads: {progress}")
                self.stdout.flush()
                printed = progress
            waiting = count.get(Status.PENDING, 0) + count.get(Status.PROCESSING, 0)
            if not waiting or time.monotonic() > until:
                break
            time.sleep(0.5)
        if waiting:
            self.stdout.write(f"  Not waiting any longer: {waiting} are not done after {seconds:.0f} s.")
