"""The application is created by a function; Celery's command line needs its result, not the function."""

from celery import Celery
from log import write


def create_app():
    app = Celery(broker="redis://127.0.0.1:6380/0")
    app.task(write, name="shop.sleep")
    return app


worker_app = create_app()
