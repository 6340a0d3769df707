"""The Celery application: celery -A photo_album worker, celery -A photo_album beat"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photo_album.settings")
app = Celery("photo_album")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
