"""An application with traps, which its environment sets."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

from celery import Celery, signals

if "TRAPS_AHEAD" in os.environ:
    _now, _ahead = time.time, float(os.environ["TRAPS_AHEAD"])
    time.time = lambda: _now() + _ahead

if "TRAPS_KOMBU" in os.environ:
    import kombu

    kombu.__version__ = os.environ["TRAPS_KOMBU"]

if "TRAPS_CACHE" in os.environ:
    from django.conf import settings

    cache = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["TRAPS_CACHE"],
        "OPTIONS": json.loads(os.environ.get("TRAPS_CACHE_OPTIONS", "{}")),
    }
    settings.configure(CACHES={"default": cache})

app = Celery("traps", broker=os.environ["BROKER"], backend=os.environ.get("RESULTS"))
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result="RESULTS" not in os.environ)
app.conf.task_routes = json.loads(os.environ.get("TRAPS_ROUTES", "{}"))


@app.task(name="traps.hold")
def hold():
    """Ends when the test says so."""
    while not Path("/opt/traps/released").exists():
        time.sleep(0.2)


@app.task(name="traps.nap")
def nap():
    pass


@signals.worker_init.connect
def age(sender, **_options):
    if "TRAPS_UP" in os.environ:
        sender.startup_time -= timedelta(seconds=float(os.environ["TRAPS_UP"]))
