"""Settings come from the environment, and where it does not have them, from the file .env."""

import os
from pathlib import Path

import dj_database_url
from celery.schedules import crontab
from dotenv import load_dotenv

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")


def switch(name, default):
    return os.environ.get(name, default).lower() in ("true", "yes", "on", "1")


SECRET_KEY = os.environ["SECRET_KEY"]
INSTALLED_APPS = ["album"]
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": BASE_DIR / "data" / "db.sqlite3",
    # The web pages, the worker and the clean-up write, too: whoever is second waits.
    "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
}
DATABASE_URL = os.environ.get("DATABASE_URL")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL) if DATABASE_URL else SQLITE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = BASE_DIR / "media"
TIME_ZONE = os.environ.get("TIME_ZONE", "Europe/Berlin")
USE_TZ = True

AI_PROCESSING_ENABLED = switch("AI_PROCESSING_ENABLED", "True")
AI_AUTO_PROCESS_ON_UPLOAD = switch("AI_AUTO_PROCESS_ON_UPLOAD", "False")
AI_SCHEDULED_PROCESSING = switch("AI_SCHEDULED_PROCESSING", "True")
AI_BATCH_SIZE = int(os.environ.get("AI_BATCH_SIZE", "500"))
AI_PROCESSING_TIMEOUT = int(os.environ.get("AI_PROCESSING_TIMEOUT", "600"))
AI_SCHEDULE_HOUR = int(os.environ.get("AI_SCHEDULE_HOUR", "2"))
AI_SCHEDULE_MINUTE = int(os.environ.get("AI_SCHEDULE_MINUTE", "0"))

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0")
CELERY_RESULT_BACKEND = os.environ.get("CELERY_RESULT_BACKEND", "redis://localhost:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_CONCURRENCY = int(os.environ.get("CELERY_WORKER_CONCURRENCY", "4"))
CELERY_TIMEZONE = TIME_ZONE
# A batch ends by itself at the first limit, and is killed at the second.
CELERY_TASK_SOFT_TIME_LIMIT = AI_PROCESSING_TIMEOUT
CELERY_TASK_TIME_LIMIT = AI_PROCESSING_TIMEOUT + 60


def daily(minutes_later):
    hour, minute = divmod(AI_SCHEDULE_HOUR * 60 + AI_SCHEDULE_MINUTE + minutes_later, 60)
    return crontab(hour=hour % 24, minute=minute)


CELERY_BEAT_SCHEDULE = {}
if AI_SCHEDULED_PROCESSING:
    CELERY_BEAT_SCHEDULE = {
        "photos": {"task": "album.tasks.process_pending_photos_batch", "schedule": daily(0)},
        "videos": {"task": "album.tasks.process_pending_videos_batch", "schedule": daily(30)},
    }
