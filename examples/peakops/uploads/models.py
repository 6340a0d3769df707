"""Inspections of roofs and masts, and the drones' videos of them."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone


class Inspection(models.Model):
    site = models.CharField(max_length=100)
    expires_at = models.DateTimeField(db_index=True)


class Status(models.TextChoices):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Upload(models.Model):
    inspection = models.ForeignKey(Inspection, on_delete=models.CASCADE)
    seconds = models.PositiveIntegerField()
    size_mb = models.PositiveIntegerField()
    height = models.PositiveIntegerField(default=2160)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.PENDING, db_index=True)
    error_message = models.TextField(blank=True, default="")
    frames = models.PositiveIntegerField(default=0)
    labels = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def clean(self):
        if self.size_mb > settings.MAX_VIDEO_SIZE_MB:
            most = f"MAX_VIDEO_SIZE_MB is {settings.MAX_VIDEO_SIZE_MB}"
            raise ValidationError({"size_mb": f"A video of {self.size_mb} MB is too large: {most}."})

    @classmethod
    def take(cls, upload_id, *statuses):
        """The upload, now in PROCESSING; None if it is in no such status, or deleted."""
        found = cls.objects.filter(pk=upload_id, status__in=statuses)
        taken = found.update(status=Status.PROCESSING, error_message="", updated_at=timezone.now())
        return cls.objects.get(pk=upload_id) if taken else None

    def finish(self, status, **values):
        """Unless its status has been changed in the meantime."""
        mine = Upload.objects.filter(pk=self.pk, status=Status.PROCESSING)
        mine.update(status=status, updated_at=timezone.now(), **values)
