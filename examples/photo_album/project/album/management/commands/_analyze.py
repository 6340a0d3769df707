"""What analyze_photos and analyze_videos have in common."""

from django.core.management.base import BaseCommand

from album.batch import analyze

ON_DEMAND = 50  # items


class Analyze(BaseCommand):
    kind = None

    def add_arguments(self, parser):
        parser.add_argument("--all", action="store_true", help=f"all waiting items, not only {ON_DEMAND}")

    def handle(self, *_, **options):
        counts = analyze(self.kind, None if options["all"] else ON_DEMAND)
        self.stdout.write(", ".join(f"{count} {status}" for status, count in counts.items()))
