from django.core.management.base import BaseCommand, CommandError

from uploads.models import Status, Upload
from uploads.tasks import reprocess_video_from_s3


class Command(BaseCommand):
    help = "Processes a video once more, as the button beside a failed upload would."

    def add_arguments(self, parser):
        parser.add_argument("upload", type=int)

    def handle(self, *, upload, **options):
        if not Upload.objects.filter(pk=upload, status=Status.FAILED).exists():
            raise CommandError(f"{upload} is not an upload that has failed.")
        reprocess_video_from_s3.delay(upload)
