"""The Celery application: celery -A server.celery_app.celery worker -Q training"""

import os

from celery import Celery
from celery.schedules import crontab

from server import logging_config

BROKER = os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0")
RESULTS = os.environ.get("CELERY_RESULT_BACKEND", "redis://localhost:6379/0")
MAINTENANCE = os.environ.get("IMAGINEER_MAINTENANCE_QUEUE", "default")
QUEUES = {"training": "training", "scraping": "scraping", "labeling": "labeling", "maintenance": MAINTENANCE}

logging_config.install()
celery = Celery("imagineer", broker=BROKER, backend=RESULTS, include=[f"server.tasks.{name}" for name in QUEUES])
celery.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_soft_time_limit=25 * 60,
    task_time_limit=30 * 60,  # less than Redis' visibility timeout of an hour, after which a task is redelivered
    task_default_queue="default",
    task_routes={f"server.tasks.{name}.*": {"queue": queue} for name, queue in QUEUES.items()},
    timezone="UTC",
    beat_schedule={
        "purge-training": {
            "task": "server.tasks.maintenance.purge_stale_training",
            "schedule": crontab(minute=0, hour=os.environ.get("IMAGINEER_PURGE_TRAINING_HOUR", "3")),
        },
        "purge-scrapes": {
            "task": "server.tasks.maintenance.purge_stale_scrapes",
            "schedule": crontab(minute=0, hour=os.environ.get("IMAGINEER_PURGE_SCRAPE_HOUR", "4")),
        },
        "disk-usage": {
            "task": "server.tasks.maintenance.record_disk_usage",
            "schedule": crontab(minute=0, hour=f"*/{os.environ.get('IMAGINEER_DISK_SAMPLE_HOURS', '6')}"),
        },
    },
)
