"""Prints what hosts may answer, as JSON: the results of celery_report by host, by the name of each state."""

import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/unit"))

from reports import DAY, GONE, HOUR, MIB, NOW, answer, end, hours, period, worker

HOSTILE = "<script>document.title = 'taken'</script>\u202e\x1b[31m"


def week(most, failed=0, refused=0):
    """Days with an evening, in which each third hour has failed tasks."""
    shape = [most * max(0.05, math.sin(number * math.tau / 24)) for number in range(168)]
    return [[int(n), failed * (number % 3 == 0), 0, int(refused * n / most)] for number, n in enumerate(shape)]


def task(done, seconds):
    return {
        "succeeded": done,
        "failed": 3,
        "retried": 1,
        "seconds": done * seconds,
        "longest": 9 * seconds,
        "last": NOW,
    }


def busy(name="shop-worker", **changes):
    tasks = {"shop.tasks.make_slideshow": task(9000, 8.1), "shop.tasks.send_link": task(4000, 0.05)}
    return worker(name, **{"hours": week(320, 4), "tasks": tasks, "ours_since": NOW - 3 * DAY, **changes})


def sampled(*services, **changes):
    samples = [
        {"t": NOW - n * HOUR / 2, "used": (700 + 200 * math.sin(n / 8)) * MIB // 1, "n": 30,
         "services": {service["name"]: [int((200 + 90 * math.sin(n / 8)) * MIB), 0, 1] for service in services}}
        for n in range(330, 0, -1)
    ]  # fmt: skip
    return answer(*services, samples=samples, **changes)


def sick():
    ends = [*(end(NOW - 5 * DAY + n * 60, "crashed", "exit status 1") for n in range(20))]
    ends += [end(NOW - n * 11 * HOUR, "out of memory", "the kernel killed a process of it") for n in (4, 3, 2)]
    ends += [end(NOW - 9 * HOUR, "hung", "the consumer's loop has not turned for 31 s")]
    services = [
        busy(events=ends, hours=week(300, 9, 700), after=period(succeeded=9000, refused=20000, busiest_hour=300)),
        busy("mail", state="failed", status="", running=None, memory={"max": 300 * MIB}),
        busy("videos", state="disconnected", status="disconnected for 95 s; 1 running, 1 taken, 9 started in all"),
        worker("beat", kind="beat", hours=hours(), tasks={}, started=None, running=None, watchdog=None),
    ]
    return sampled(*services, stuck={"known": True, "count": 2, "oldest": 7300.0})


def young():
    """A server that was set up ten minutes ago, without monitoring."""
    begun = NOW - 600
    service = worker(
        hours=hours(), tasks={}, started=0, before=None, after=period(since=begun), ours_since=begun, since=begun,
        journal_since=begun,
    )  # fmt: skip
    journal = {"since": begun, "persistent": True, "kernel": False, "suppressed": 0}
    return answer(
        service, journal=journal, samples=[], stuck={"known": False, "why": "job_cleanup is not on this host"}
    )


def names():
    services = [
        busy(
            "עובד-תמונות", status=f"sick: {HOSTILE}", state="hung", tasks={HOSTILE: task(5, 1), "t" * 200: task(1, 1)}
        ),
        busy("w" * 200, events=[end(NOW - HOUR, "crashed", "x" * 300)], leftovers=[HOSTILE]),
    ]
    return sampled(*services)


def fleet():
    """Fifty services on ten hosts, and a host that does not answer."""
    hosts = {
        f"app{number:02}.example.com": sampled(
            *(busy(f"worker-{each}") for each in range(4)), worker("beat", kind="beat")
        )
        for number in range(10)
    }
    hosts["app07.example.com"]["services"][2].update(state="failed", running=None)
    return {**{host: {"report": each} for host, each in hosts.items()}, "app10.example.com": GONE}


STATES = {
    "well": {"vps": {"report": sampled(busy(ours_since=NOW - 20 * DAY), busy("mail", ours_since=NOW - 20 * DAY))}},
    "sick": {"vps": {"report": sick()}},
    "young": {"vps": {"report": young()}},
    "names": {"שרת-" + "h" * 60: {"report": names()}},
    "fleet": fleet(),
    "gone": {"vps": GONE, "vps2": {"msg": "x" * 1000}},
}

if __name__ == "__main__":
    json.dump(STATES, sys.stdout)
