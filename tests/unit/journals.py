"""A journal without systemd: what journalctl would print of its entries."""

import json
import re

from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import journal


class Journal:
    """Entries as journalctl prints them in JSON, which can be added, rotated away and asked for."""

    def __init__(self, entries=()):
        self.entries, self.number = [], 0
        for entry in entries:
            self.add(entry["MESSAGE"], **{name: value for name, value in entry.items() if name != "MESSAGE"})

    def add(self, message, at=None, **fields):
        self.number += 1
        at = fields.pop("__REALTIME_TIMESTAMP", None) or str(round((at or self.number) * 1e6))
        fields["__CURSOR"] = f"i={self.number:09}"
        self.entries.append({"MESSAGE": message, "__REALTIME_TIMESTAMP": at, **fields})

    def line(self, service, message, at=None):
        """A line of a service's log."""
        self.add(message, at, _SYSTEMD_UNIT=f"{service}.service", _TRANSPORT="stdout", _PID="4242")

    def event(self, service, message_id, at=None, **fields):
        """What systemd says of a service."""
        self.add("…", at, _PID="1", UNIT=f"{service}.service", MESSAGE_ID=message_id, **fields)

    def Reading(self, question, *, cursor="", since=None, most=200_000, seconds=60):
        return _Reading(self, question, cursor, since, most)


class _Reading:
    def __init__(self, where, question, cursor, since, most):
        self.where, self.question, self.cursor, self.since, self.most = where, question, cursor, since, most
        self.exceeded = False

    def __iter__(self):
        read = 0
        entries = self.where.entries[::-1] if self.question.newest else list(self.where.entries)
        for data in entries:
            entry = journal._entry(json.dumps(data).encode())
            if self.cursor and entry.cursor <= self.cursor and not self.question.newest:
                continue
            if (self.since and entry.time < self.since) or entry.time > (self.question.until or entry.time):
                continue
            if not any(_all(group, data) for group in self.question.matches):
                continue
            if read == self.most:
                self.exceeded = True
                return
            self.cursor = entry.cursor
            if re.search(self.question.grep, entry.message):
                read += 1
                yield entry
            if self.question.newest and read == self.question.newest:
                return


def _all(matches, data):
    """Alternatives for one field, all fields."""
    wanted = {}
    for match in matches:
        name, value = match.split("=", 1)
        wanted.setdefault(name, []).append(value)
    return all(data.get(name) in values for name, values in wanted.items())


def recorded(path):
    with path.open(encoding="utf-8") as lines:
        return Journal(map(json.loads, lines))
