import json

from django.core.management.base import BaseCommand
from django.db.models import Count

from album.models import STATUSES, Photo, Video


class Command(BaseCommand):
    help = "Prints how many photos and videos have each status."

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true")

    def handle(self, *_, **options):
        counts = {kind.__name__: count(kind) for kind in (Photo, Video)}
        if options["json"]:
            self.stdout.write(json.dumps(counts))
            return
        for kind, statuses in counts.items():
            line = ", ".join(f"{status.title()}: {number}" for status, number in statuses.items())
            self.stdout.write(f"{kind}s - {line}")


def count(kind):
    found = dict(kind.objects.values_list("processing_status").annotate(Count("pk")))
    return {status: found.get(status, 0) for status in STATUSES}
