import time

from django.core.management.base import BaseCommand

from album.models import Photo, Video


class Command(BaseCommand):
    help = "Waits until no photo or video is waiting or being analyzed, and prints the progress."

    def add_arguments(self, parser):
        parser.add_argument("seconds", type=float)

    def handle(self, *_, seconds, **_options):
        until, printed = time.monotonic() + seconds, None
        while (left := self.left()) and time.monotonic() < until:
            if left != printed:
                self.stdout.write(f"  {left} photos and videos are waiting")
                printed = left
            time.sleep(0.5)
        self.stdout.write(f"  {left} are still waiting after {seconds:g} s" if left else "  all are done")

    @staticmethod
    def left():
        return sum(
            kind.objects.filter(processing_status__in=("pending", "processing")).count() for kind in (Photo, Video)
        )
