"""What the worker does."""

import shutil

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from . import bucket, rekognition, video
from .models import Inspection, Status, Upload


@shared_task
def process_video_upload(upload_id):
    """Extracts the frames of a new video. HIGH MEMORY."""
    _process(upload_id, Status.PENDING)


@shared_task
def reprocess_video_from_s3(upload_id):
    """Once more, for a video that has failed. HIGH MEMORY."""
    _process(upload_id, Status.FAILED)


@shared_task
def analyze_video(upload_id):
    """Asks Amazon Rekognition what the frames show. MEDIUM MEMORY."""
    labels = sorted({label for frame in video.saved(upload_id) for label in rekognition.labels(frame)})
    Upload.objects.filter(pk=upload_id).update(labels=labels, updated_at=timezone.now())


@shared_task
def cleanup_expired_inspections():
    """Deletes inspections that have expired, with their videos and frames. LOW MEMORY."""
    expired = Inspection.objects.filter(expires_at__lt=timezone.now())
    for upload_id in Upload.objects.filter(inspection__in=expired).values_list("pk", flat=True):
        bucket.path(upload_id).unlink(missing_ok=True)
        shutil.rmtree(video.directory(upload_id), ignore_errors=True)
    return expired.delete()[0]


def _process(upload_id, status):
    upload = Upload.take(upload_id, status)
    if upload is None:  # deleted, or processed in the meantime
        return
    try:
        frames = video.extract(bucket.download(upload_id), upload.seconds, upload.height)
        video.save(upload_id, frames)
    except Exception as error:
        upload.finish(Status.FAILED, error_message=str(error) or type(error).__name__)
        raise
    upload.finish(Status.COMPLETED, frames=len(frames))
    if settings.ENABLE_AWS_REKOGNITION:
        analyze_video.delay(upload_id)
