import time

from server import config, lora, runs
from server.celery_app import celery


@celery.task
def train_lora(run, captions, steps=100, pause=0.0, checkpoint_mb=None):
    """Trains on the captions. In memory: the checkpoint, and 30 % more to work with."""
    runs.started(run)
    try:
        checkpoint = bytearray(b"w") * int((checkpoint_mb or config.get("checkpoint_mb")) * 1.3 * 2**20)
        first = loss = None
        for step, loss in enumerate(lora.train(lora.target(captions), steps), 1):
            first = loss if first is None else first
            runs.update(run, step=step, loss=round(loss, 4))
            time.sleep(pause)
    except Exception as error:
        runs.update(run, status="failed", error=repr(error))
        raise
    runs.update(run, status="completed", first_loss=round(first, 4))
    return {"loss": loss, "checkpoint": len(checkpoint)}
