"""An application with a schedule. Each message has the time at which it was sent, and is sent to beat's own queue."""

import os
import time

from celery import Celery
from celery.beat import BeatLazyFunc
from celery.schedules import crontab

app = Celery("clock", broker=os.environ["BROKER"], backend=os.environ.get("RESULTS"))
app.conf.task_default_queue = QUEUE = os.environ["QUEUE"]
NOW = BeatLazyFunc(time.time) if os.environ.get("TIMES", "1") == "1" else 0  # RedBeat can't store the function
ENTRIES = {"five": 5.0, "minute": crontab()}
app.conf.beat_schedule = {
    name: {"task": "clock.tick", "schedule": schedule, "args": (name, NOW)}
    for name, schedule in ENTRIES.items()
    if name in os.environ.get("ENTRIES", "five minute").split()
}
if os.environ.get("MISTAKES"):
    app.conf.timezone = "Europe/Berlin"
    app.conf.beat_schedule = {
        "nightly": {"task": "clock.tick", "schedule": crontab(hour=2, minute=0)},
        "often": {"task": "clock.tick", "schedule": crontab(minute="*/10")},
        "misspelt": {"task": "clock.tock", "schedule": 3600.0},
        "unheard": {"task": "clock.tick", "schedule": 3600.0, "options": {"queue": "nobody"}},
    }


@app.task
def tick(name, sent):
    return name
