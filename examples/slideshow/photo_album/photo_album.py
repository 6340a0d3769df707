"""Another application on the same server, with a Redis database of its own."""

from celery import Celery

app = Celery("photo_album", broker="redis://127.0.0.1:6379/1")
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)


@app.task
def describe(photo):
    return f"a photo: {photo}"
