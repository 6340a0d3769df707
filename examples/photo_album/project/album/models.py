"""Photos and videos: pending → processing → completed, or failed, which the next scheduled batch tries again."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils import timezone

STATUSES = ("pending", "processing", "completed", "failed")


class Media(models.Model):
    file = models.CharField(max_length=200, help_text="Below MEDIA_ROOT.")
    processing_status = models.CharField(
        max_length=20, choices=[(status, status.title()) for status in STATUSES], default="pending", db_index=True
    )
    description = models.TextField(blank=True)
    tags = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    uploaded_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    @property
    def path(self):
        return Path(settings.MEDIA_ROOT, self.file)

    def claim(self):
        """Whether this item is now ours: a batch on demand may run beside the scheduled one."""
        # update() does not set updated_at by itself, but the clean-up of stuck items looks at it.
        found = type(self).objects.filter(pk=self.pk, processing_status=self.processing_status)
        return bool(found.update(processing_status="processing", updated_at=timezone.now()))

    def become(self, status, **values):
        """Sets the status, unless somebody else has changed it meanwhile."""
        found = type(self).objects.filter(pk=self.pk, processing_status="processing")
        found.update(processing_status=status, updated_at=timezone.now(), **values)


class Photo(Media):
    pass


class Video(Media):
    pass
