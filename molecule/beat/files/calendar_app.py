"""The same with its schedule in a database, by django-celery-beat."""

import os

import django
from celery import Celery
from django.conf import settings

QUEUE = os.environ["QUEUE"]
settings.configure(
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"/opt/shop/data/{QUEUE}.sqlite3"}},
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()
app = Celery("calendar", broker=os.environ["BROKER"])
app.conf.task_default_queue = QUEUE
app.conf.beat_schedule = {"five": {"task": "calendar.tick", "schedule": 5.0, "args": ("five",)}}


@app.task(name="calendar.tick")
def tick(name):
    return name


if __name__ == "__main__":
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
