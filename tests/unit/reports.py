"""Answers of hosts, as celery_report gives them, for tests of the report."""

from __future__ import annotations

import copy

NOW = 1795751098.0  # Friday 27 November 2026, 03:44:58 UTC
DAY, HOUR, MIB = 86400, 3600, 2**20
WINDOW = [NOW - 7 * DAY, NOW]


def hours(succeeded=0, failed=0, retried=0, refused=0):
    """A week in which all of it was done in the last hour but one."""
    return [[0, 0, 0, 0]] * 166 + [[succeeded, failed, retried, refused], [0, 0, 0, 0]]


def period(**changes):
    since = NOW - 7 * DAY
    return {"since": since, "succeeded": 0, "failed": 0, "refused": 0, "lost": 0, "busiest_hour": 0, **changes}


def end(t, reason="crashed", said=""):
    return {"t": t, "kind": "end", "reason": reason, "said": said}


def worker(name="shop-worker", **changes):
    """A worker with which all is well, and which has been deployed for a month."""
    well = {
        "name": name,
        "kind": "worker",
        "state": "ready",
        "status": "ready; 1 running, 1 taken, 500 started in all",
        "since": NOW - 3 * DAY,
        "running": 1,
        "taken": 1,
        "started": 500,
        "watchdog": "30s",
        "memory": {"working": 150 * MIB, "peak": 200 * MIB, "swap": 0, "oom_kills": 0, "cgroup": 2, "max": 800 * MIB},
        "log_level": "info",
        "journal_since": NOW - 30 * DAY,
        "ours_since": NOW - 30 * DAY,
        "events": [],
        "hours": hours(100),
        "tasks": {
            "shop.pay": {"succeeded": 100, "failed": 0, "retried": 0, "seconds": 50.0, "longest": 3.0, "last": NOW}
        },
        "before": period(succeeded=500, refused=500, busiest_hour=90),
        "after": period(succeeded=100, busiest_hour=100),
        "kills": [],
        "kills_since": NOW - 7 * DAY,
        "leftovers": [],
    }
    return {**well, **changes}


def answer(*services, **changes):
    """A host with which all is well."""
    well = {
        "time": NOW,
        "window": WINDOW,
        "system": {"os": "Debian GNU/Linux 13 (trixie)", "systemd": "257", "kernel": "6.12"},
        "journal": {"since": NOW - 30 * DAY, "persistent": True, "kernel": True, "suppressed": 0, "complete": True},
        "machine": {
            "memory": {"total": 3800 * MIB, "used": 600 * MIB, "swap_total": 2048 * MIB, "swap_used": 0},
            "disks": [{"path": "/", "total": 40 * 2**30, "free": 30 * 2**30}],
            "booted": NOW - 20 * DAY,
        },
        "services": list(services) or [worker()],
        "stuck": {"known": True, "why": "", "count": 0, "skipped": 0, "oldest": 0},
        "samples": [
            {"t": NOW - n * HOUR, "used": 700 * MIB, "services": {"shop-worker": [150 * MIB, 0, 1]}, "n": 30}
            for n in range(100, 0, -1)
        ],
    }
    return copy.deepcopy({**well, **changes})


GONE = {"unreachable": True, "msg": "No route to host"}  # the result of a host that did not answer
