from celery import shared_task
from django.conf import settings

from . import ai
from .batch import WAITING, analyze, analyze_one
from .models import Photo, Video


@shared_task
def process_pending_photos_batch():
    return scheduled(Photo)


@shared_task
def process_pending_videos_batch():
    return scheduled(Video)


@shared_task
def process_photo_ai(pk):
    return one(Photo, pk)


@shared_task
def process_video_ai(pk):
    return one(Video, pk)


def scheduled(kind):
    return analyze(kind, settings.AI_BATCH_SIZE) if settings.AI_PROCESSING_ENABLED else None


def one(kind, pk):
    item = kind.objects.filter(pk=pk, processing_status__in=WAITING).first()
    return analyze_one(item, ai.Model()) if item and item.claim() else None
