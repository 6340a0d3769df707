"""A worker as the modules get it: the defaults, and what a test sets."""

from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import WORKER
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import with_defaults

PROGRAMS = {"evenkeel_watchdog.py": "watchdog", "stale_workers.py": "stale workers"}


def worker(**options):
    return with_defaults(WORKER, {"name": "w", "app": "shop", "directory": "/srv/shop", **options})
