"""An application that logs a lot, and whose worker may fail to start for a reason that is far above the last line."""

import os
import time
from pathlib import Path

from celery import Celery, bootsteps
from celery.utils.log import get_task_logger

app = Celery("noisy")  # its broker is in the environment: CELERY_BROKER_URL
app.conf.beat_schedule = {"each second": {"task": "noisy.log", "schedule": 1, "options": {"queue": "nowhere"}}}
logger = get_task_logger(__name__)


@app.task(name="noisy.log", ignore_result=True)
def log(number, lines):
    for line in range(lines):
        logger.info("line %04d-%04d", number, line)
        time.sleep(0.001)


class Refusal(bootsteps.Step):
    """Has the worker end with a chain of exceptions."""

    def __init__(self, parent, **kwargs):
        if "NOISY_REFUSES" in os.environ:
            try:
                Path("/srv/noisy.log").touch()
            except OSError as error:
                refuse(error, 20)


def refuse(cause, depth):
    if not depth:
        raise ValueError("Unable to configure handler 'file'") from cause
    refuse_again(cause, depth)


def refuse_again(cause, depth):
    refuse(cause, depth - 1)


app.steps["worker"].add(Refusal)
