"""The Celery application: celery -A celery_app worker -Q celery,batch,links,variations"""

import os

from celery import Celery

app = Celery(
    "slideshow",
    broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"),
    include=["tasks", "diagnostics"],
)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,  # the databases hold the status of a job
    task_routes={
        "tasks.run_batch": {"queue": "batch"},
        "tasks.make_link": {"queue": "links"},
        "tasks.make_variation": {"queue": "variations"},
    },
)
