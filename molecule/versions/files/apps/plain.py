"""As in Celery's first steps: the application is whatever Celery object the module holds."""

from celery import Celery
from log import write

orders = Celery(broker="redis://127.0.0.1:6380/0")
sleep = orders.task(write, name="shop.sleep")
