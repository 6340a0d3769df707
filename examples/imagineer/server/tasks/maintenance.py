"""What beat sends. The scrapes lie on the server where this queue is consumed; the training runs, in Redis."""

import shutil
import time

from server import config, runs
from server.celery_app import celery

DAY = 86400
ABANDONED = 3600  # seconds without a step; a run that lives takes at most half of it


@celery.task
def record_disk_usage():
    usage = shutil.disk_usage(config.get("data"))
    runs.add_sample(time=time.time(), used=usage.used, total=usage.total)
    return round(100 * usage.used / usage.total)


@celery.task
def purge_stale_training():
    """Fails runs whose worker is gone, and deletes those that ended long ago. Returns how many of each."""
    now, abandoned, old = time.time(), 0, 0
    for run, fields in runs.all_runs():
        age = now - float(fields["updated"])
        if fields["status"] == "running" and age > ABANDONED:
            runs.update(run, status="failed", error="abandoned: its worker is gone")
            abandoned += 1
        elif fields["status"] in ("completed", "failed") and age > config.get("keep_training_days") * DAY:
            runs.delete(run)
            old += 1
    return {"abandoned": abandoned, "deleted": old}


@celery.task
def purge_stale_scrapes():
    """Deletes datasets that have not been touched for long. Returns their names."""
    limit = time.time() - config.get("keep_scrapes_days") * DAY
    stale = [path for path in config.datasets().glob("*") if path.stat().st_mtime < limit]
    for path in stale:
        shutil.rmtree(path)
    return [path.name for path in stale]
