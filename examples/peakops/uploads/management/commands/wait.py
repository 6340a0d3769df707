import time

from django.core.management.base import BaseCommand
from django.db.models import Count

from uploads.models import Status, Upload


class Command(BaseCommand):
    help = "Waits until no upload from this one on is PENDING or PROCESSING, and prints the progress."

    def add_arguments(self, parser):
        parser.add_argument("first", type=int, help="the first upload that is waited for")
        parser.add_argument("seconds", type=float, help="how long at most")

    def handle(self, *, first, seconds, **options):
        until, printed = time.monotonic() + seconds, ""
        new = Upload.objects.filter(pk__gte=first)
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
