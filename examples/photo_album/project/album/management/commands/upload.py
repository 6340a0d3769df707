import uuid

from django.conf import settings
from django.core.management.base import BaseCommand

from album import ai, tasks
from album.models import Photo, Video

COLOURS = ((200, 40, 40), (40, 90, 40), (160, 190, 250))
TASKS = {Photo: tasks.process_photo_ai, Video: tasks.process_video_ai}


class Command(BaseCommand):
    help = "Uploads sample photos and videos, as a visitor of the web pages does."

    def add_arguments(self, parser):
        parser.add_argument("--photos", type=int, default=0)
        parser.add_argument("--videos", type=int, default=0)
        parser.add_argument("--damaged", type=int, default=0, help="photos whose files are cut off")

    def handle(self, *_, photos, videos, damaged, **_options):
        for number in range(photos):
            self.store(Photo, ai.sample(COLOURS[number % 3]))
        for number in range(videos):
            self.store(Video, ai.sample(COLOURS[number % 3], pictures=24))
        for _ in range(damaged):
            self.store(Photo, ai.sample(COLOURS[0])[:-1])

    def store(self, kind, content):
        name = f"{kind.__name__.lower()}-{uuid.uuid4()}.ppm"
        settings.MEDIA_ROOT.joinpath(name).write_bytes(content)
        item = kind.objects.create(file=name)
        if settings.AI_PROCESSING_ENABLED and settings.AI_AUTO_PROCESS_ON_UPLOAD:
            TASKS[kind].delay(item.pk)
