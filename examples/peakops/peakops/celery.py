"""The Celery application: celery -A peakops worker, celery -A peakops beat"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "peakops.settings")
app = Celery("peakops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
