"""Services as the modules get them: the defaults, and what a test sets."""

from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import BEAT, WORKER
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import with_defaults

PROGRAMS = {
    "evenkeel_watchdog.py": "watchdog",
    "evenkeel_beat.py": "beat",
    "evenkeel_log_file.py": "log file",
    "stale_workers.py": "stale workers",
}


def worker(**options):
    return _service("worker", WORKER, {"name": "w", **options})


def beat(**options):
    return _service("beat", BEAT, {"name": "b", **options})


def _service(kind, table, options):
    return {"kind": kind, **with_defaults(table, {"app": "shop", "directory": "/srv/shop", **options})}
