"""The application is made by a function; Celery's command line takes what the function has made, not the function."""

from celery import Celery
from log import write


def create_app():
    app = Celery(broker="redis://127.0.0.1:6380/0")
    app.task(write, name="shop.sleep")
    return app


worker_app = create_app()
