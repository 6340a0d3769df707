# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A beat's schedule as the probe has found it: what it sends, and what of it will not work."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .._celery.options import Instance
from .answer import Answer


def lines(found: Answer) -> Iterator[str]:
    """A line for each entry: its task, its queue, and when it is next due, in its own time zone and in UTC."""
    zone = found.get("zone", "UTC")
    for entry in found.get("entries", []):
        local = "" if zone == "UTC" else f"{entry['next_local']} {zone}, "
        yield f"{entry['name']}: {entry['task']} to queue {entry['queue']}, next at {local}{entry['next']} UTC"
    if found.get("more_entries"):
        yield f"and {found['more_entries']} more"


def errors(instance: Instance, found: Answer) -> Iterator[str]:
    """What keeps a beat from sending anything, each in a sentence."""
    if instance.get("lock") and not found.get("uri", "redis").startswith(("redis", "sentinel")):
        yield (
            f"lock is set, but the broker {found['uri']} is not Redis, which the lock needs. Remove lock: by"
            " celery_beat_host, one host of the inventory runs beat without it, too."
        )
    if found.get("tables") is False:
        yield (
            "the tables of django-celery-beat are missing from the application's database, or are those of another"
            " version. Run manage.py migrate."
        )


def warnings(found: Answer, consumed: Collection[str]) -> Iterator[str]:
    """What keeps entries from being sent or executed, each in a sentence.

    consumed: the queues that workers consume from; if it is empty, they are not known.
    """
    if found.get("schedule"):
        yield f"the schedule can't be read: {found['schedule'].rstrip('.')}. Beat waits until it can."
    if found.get("migrations"):
        yield f"migrations are not applied, such as {', '.join(found['migrations'])}. Run manage.py migrate."
    entries = found.get("entries", [])
    if "entries" in found and not entries:
        yield "the schedule has no entries, so beat will send nothing."
    for entry in entries:
        if not entry["known"]:
            yield (
                f"entry {entry['name']!r} sends the task {entry['task']!r}, which the application does not have."
                " Correct the name, or let the application import the task's module."
            )
        if consumed and entry["queue"] not in consumed:
            yield (
                f"entry {entry['name']!r} is sent to queue {entry['queue']!r}, from which no worker of the inventory"
                f" consumes. Add the queue to a worker, or send it to one of {', '.join(sorted(consumed))}."
            )
        if entry["has_gap"]:
            yield (
                f"entry {entry['name']!r} is due several times a day in {found.get('zone', 'its time zone')}. Where"
                " summer time ends, Celery skips the hour that occurs twice. Use UTC if that matters."
            )
