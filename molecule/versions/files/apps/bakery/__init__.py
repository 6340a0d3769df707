"""A Django project, laid out as Celery's documentation says."""

from .celery import app as celery_app

__all__ = ("celery_app",)
