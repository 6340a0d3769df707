from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from uploads import bucket
from uploads.models import Inspection, Upload
from uploads.tasks import process_video_upload


class Command(BaseCommand):
    help = "Uploads a video, as the form on the web would, and prints its id."

    def add_arguments(self, parser):
        parser.add_argument("site", help="what it shows")
        parser.add_argument("--seconds", type=int, default=25)
        parser.add_argument("--size-mb", type=int, default=50)
        parser.add_argument("--height", type=int, default=2160, help="2160 for 4K")

    def handle(self, *, site, seconds, size_mb, height, **options):
        month = timezone.now() + timedelta(days=30)
        inspection, _ = Inspection.objects.get_or_create(site=site, defaults={"expires_at": month})
        upload = Upload(inspection=inspection, seconds=seconds, size_mb=size_mb, height=height)
        try:
            upload.full_clean()
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from None
        upload.save()
        bucket.put(upload.pk, size_mb)
        process_video_upload.delay(upload.pk)
        self.stdout.write(str(upload.pk))
