"""Django's settings. What differs between servers comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PEAKOPS_DATA", BASE_DIR / "data"))

INSTALLED_APPS = ["django_celery_beat", "uploads"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        # The worker, beat and the front end write: each waits for the others.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TASK_IGNORE_RESULT = True  # the database has each upload's status
CELERY_TIMEZONE = TIME_ZONE

MAX_VIDEO_SIZE_MB = int(os.environ.get("MAX_VIDEO_SIZE_MB", "100"))
MAX_FRAMES_PER_VIDEO = int(os.environ.get("MAX_FRAMES_PER_VIDEO", "20"))
ENABLE_AWS_REKOGNITION = os.environ.get("ENABLE_AWS_REKOGNITION", "True") == "True"
