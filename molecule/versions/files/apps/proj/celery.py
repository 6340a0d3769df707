"""Found by `-A proj`. Its tasks are in a module of their own."""

from celery import Celery

app = Celery("proj", broker="redis://127.0.0.1:6380/0", include=["proj.tasks"])
