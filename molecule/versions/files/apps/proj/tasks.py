from log import write

from proj.celery import app

sleep = app.task(write, name="shop.sleep")
