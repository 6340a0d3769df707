# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes `celery beat` report its state to systemd, and lose no tick when the broker is down.

Load:  celery -A app beat --scheduler evenkeel_beat:scheduler      with this file's folder in PYTHONPATH
Unit:  Type=notify  NotifyAccess=main  WatchdogSec=N
In a container, without systemd:  EVENKEEL_HEARTBEAT=FILE  WATCHDOG_USEC=N       (without both it reports nothing)

Celery calls whatever --scheduler names. scheduler() makes the application's own one (the setting beat_scheduler:
PersistentScheduler, django-celery-beat's, RedBeat's …), with Guard before it. The application is not changed.

A ready beat pings systemd, unless one of these has lasted for longer than WatchdogSec=:
  1. the process cannot run, or something holds the GIL: the pinging thread cannot send;
  2. a tick is under way, and the broker is not known to be down: a connection or a database that does not answer;
  3. beat should have woken up for its next tick, and has not.
Never a reason: a dead broker, a long wait for the next tick, another beat that holds the lock, a stop in progress.

Beside that, a tick that is due waits for the broker, and is not forgotten if beat is stopped meanwhile; the schedule
file is replaced as a whole after each tick; one that can't be read is set aside; and a last run in the future, which
would silence its entry until then, is taken back.
"""

import importlib
import os
import pickle
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from celery.beat import PersistentScheduler, SchedulingError
from celery.utils.imports import load_extension_class_names, symbol_by_name
from celery.utils.log import get_logger
from celery.utils.time import maybe_make_aware
from kombu.exceptions import OperationalError

if os.environ.get("EVENKEEL_LOG_FILE"):
    importlib.import_module("evenkeel_log_file")  # Celery's signals call it

ADDR = os.environ.get("NOTIFY_SOCKET", "")
HEARTBEAT = None
if os.environ.get("EVENKEEL_HEARTBEAT") and not ADDR:
    HEARTBEAT = importlib.import_module("evenkeel_heartbeat")  # first: it checks the variables below
LIMIT = int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6  # seconds; 0: no WatchdogSec=, so only READY and STATUS
EVERY = min(LIMIT / 4 or 15, 15)
LOOK_EVERY = 0.5  # seconds, until beat is ready
ANSWER = 3  # seconds that the broker may take to answer
RETRY = 1  # seconds between two attempts to send a task that is due
DATABASE_RETRY = 5  # seconds between two attempts to read the schedule from a database
CLOCK = 60  # seconds that an entry's last run may be in the future
LOCKED = os.environ.get("EVENKEEL_LOCK") == "1"
LOCK_TIME = 30  # seconds after which another beat takes over the lock of one that was killed
# Errors of a database, or of Redis, that does not answer.
UNREACHABLE = {"django.OperationalError", "django.InterfaceError", "redis.ConnectionError", "redis.TimeoutError"}
now = time.monotonic
logger = get_logger("evenkeel_beat")


def notify(*lines):
    """Tells systemd, or in a container the heartbeat."""
    if HEARTBEAT:
        HEARTBEAT.notify(*lines)
    elif ADDR:
        # systemd is re-executing, or its queue is full: the next ping comes soon.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.sendto("\n".join(lines).encode(), "\0" + ADDR[1:] if ADDR[0] == "@" else ADDR)


def scheduler(app, lazy=False, **options):
    """What Celery calls for its scheduler; lazy: only to be shown in the banner."""
    aliases = dict(load_extension_class_names("celery.beat_schedulers"))
    own = symbol_by_name(app.conf.beat_scheduler, aliases=aliases)
    if lazy:
        return own(app=app, lazy=True, **options)
    if Watch.made:
        # Celery's handler of SIGTERM closes the scheduler: it asks for another one while the first is being made.
        raise SystemExit(0)
    # Celery subscribes to the result of each task, although beat never reads one, and drops the tick if that fails.
    app.backend.on_task_call = lambda producer, task_id: {}
    watch = Watch(app, Lock(app) if LOCKED else None)
    parts = {"watch": watch, **({"persistence": ScheduleFile} if issubclass(own, PersistentScheduler) else {})}
    guarded = type(own.__name__, (Guard, own), parts)
    while True:
        try:
            return guarded(app=app, **options)
        except Exception as error:
            if is_unreachable(error):
                # A beat that ends would be given up (StartLimitBurst=) while its database is starting.
                watch.does(f"starting: the schedule can't be reached ({type(error).__name__})")
                logger.error("the schedule can't be reached: %r. Trying again in %d s", error, DATABASE_RETRY)
                time.sleep(DATABASE_RETRY)
            elif "persistence" not in parts or not set_aside(options.get("schedule_filename"), error):
                raise


def is_unreachable(error):
    return any(f"{kind.__module__.split('.')[0]}.{kind.__name__}" in UNREACHABLE for kind in type(error).__mro__)


class Watch:
    """What the scheduler does, and since when. A thread of its own draws the conclusion, and notifies systemd."""

    made = False

    def __init__(self, app, lock):
        Watch.made = True
        self.app, self.lock = app, lock
        self.doing, self.since, self.until = "starting", now(), None  # until: when it should wake up
        self.ticks = self.sent = 0
        self.ready = False
        self.down = None  # since when the broker is known not to answer
        self.back = now()  # when it answered again: a tick that waited for it has its time from then on
        threading.Thread(target=self.ping, name="evenkeel-beat", daemon=True).start()

    def does(self, what, wait=None):
        self.doing, self.since = what, now()
        self.until = None if wait is None else now() + wait

    def ping(self):
        # Nothing here needs the import lock or a lock of logging, which a hung main thread may hold.
        while True:
            if self.doing == "stopping":
                return notify("STOPPING=1", "STATUS=stopping")
            # Asked only when it matters: before beat is ready, and when a tick takes long.
            if self.down or self.overdue() > LIMIT / 2 or (self.ticks and not self.ready):
                self.look_at_broker()
            if self.ticks and not self.ready and not self.down:
                self.ready = True
                notify("READY=1")
            sick = LIMIT and self.ready and self.sick()
            if sick:
                remedy = "ending beat" if HEARTBEAT else "asking systemd for a restart"
                os.write(2, f"evenkeel_beat: {remedy}: {sick}\n".encode())
                return notify(f"STATUS=sick: {sick}", "WATCHDOG=trigger")
            notify("WATCHDOG=1", f"STATUS={self.status()}")
            time.sleep(EVERY if self.ready else min(EVERY, LOOK_EVERY))

    def look_at_broker(self):
        if not broker_answers(self.app):
            self.down = self.down or now()
        elif self.down:
            self.back, self.down = now(), None

    def overdue(self):
        """Seconds that a tick has taken, or by which the next one is late."""
        doing, since, until = self.doing, self.since, self.until
        if doing == "ticking":
            return now() - max(since, self.back)
        return max(0, now() - until) if until is not None else 0

    def sick(self):
        """Why systemd should restart beat; None: no reason."""
        doing, overdue = self.doing, self.overdue()
        if overdue <= LIMIT or self.down or doing not in ("ticking", "waiting"):
            return None
        if doing == "ticking":
            return f"a tick has taken {overdue:.0f} s, and the broker answers"
        return f"the next tick is {overdue:.0f} s late"

    def status(self):
        """What `systemctl status` shows."""
        down, until = self.down, self.until
        if down:
            doing = f"the broker has not answered for {now() - down:.0f} s, what is due waits for it"
        elif until is not None:
            doing = f"waiting, next look in {max(0, until - now()):.0f} s"
        else:
            doing = self.doing
        return f"{doing}; {self.sent} tasks sent"


def broker_answers(app):
    """Whether one of the configured brokers accepts a connection."""
    conn = app.connection_for_write()
    conn.transport_options = {**(conn.transport_options or {}), **timeouts(conn)}
    others = list(conn.alt[1:])
    while True:
        try:
            # Without retries, unlike Connection.connect().
            conn.transport.close_connection(conn.transport.establish_connection())
            return True
        except Exception:
            if not others:
                return False
            conn.switch(others.pop(0))


def timeouts(conn):
    """Options of the transport for a connection that must not wait for long."""
    return {
        "redis": {"socket_timeout": ANSWER, "socket_connect_timeout": ANSWER},
        "amqp": {"read_timeout": ANSWER, "write_timeout": ANSWER},
    }.get(conn.transport.driver_type, {})


class Guard:
    """Before the application's scheduler in the method resolution order of a class that is made of both."""

    watch = None
    unsent = None  # the entry as it was before it was reserved, until its task is sent
    looked = None  # the wall clock's time at the last tick

    def tick(self, *args, **kwargs):
        if self.watch.lock:
            self.watch.lock.take(self.watch)
        self.watch.does("ticking")
        self.correct_future_runs()
        delay = super().tick(*args, **kwargs)
        self.watch.ticks += 1
        self.watch.does("waiting", wait=max(delay or 0, 0))
        return delay

    def reserve(self, entry):
        self.unsent = entry
        return super().reserve(entry)

    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        """Sends a task that is due. Celery would drop it if the broker did not answer."""
        waited = False
        while True:
            try:
                result = super().apply_async(entry, producer=producer, advance=advance, **kwargs)
            except Exception as error:
                reason = error.__cause__ or error.__context__
                if not (isinstance(error, SchedulingError) and isinstance(reason, OperationalError)):
                    self.unsent = None  # not the broker's fault: Celery logs it and goes on
                    raise
                if not waited:
                    logger.warning("%s is due, but the broker does not answer: waiting for it (%s)", entry.name, error)
                waited, advance = True, False  # it was reserved once
                time.sleep(RETRY)
            else:
                self.unsent = None
                self.watch.sent += 1
                if waited:
                    logger.warning("the broker answers again: %s is sent", entry.name)
                if self.should_sync():
                    self._do_sync()
                return result

    def should_sync(self):
        """Not while an entry is reserved whose task is not sent yet: a kill would lose it."""
        return self.unsent is None and super().should_sync()

    def _ensure_connected(self):
        """The first connection. Celery would wait up to 30 s between attempts, and give up after 100."""

        def log(error, interval):
            logger.error("the broker does not answer: %s. Trying again in %g s", error, interval)

        return self.connection.ensure_connection(
            log, max_retries=None, interval_start=1, interval_step=1, interval_max=5
        )

    def close(self):
        """Celery calls it at the end, and from its handler of SIGTERM: in the midst of whatever beat is doing."""
        self.watch.does("stopping")
        if self.unsent:
            entry, self.unsent = self.unsent, None
            with suppress(Exception):
                if hasattr(self, "_dirty"):  # django-celery-beat writes only the entries in there
                    self._dirty.discard(entry.name)
                else:
                    self.schedule[entry.name] = entry
                logger.warning("stopped before %s was sent: the next start sends it", entry.name)
        if self.watch.lock:
            self.watch.lock.release()
        super().close()
        notify("STOPPING=1", "STATUS=stopping")

    def correct_future_runs(self):
        """At the first tick, and when the clock was put back: an entry that ran in the future would never be due."""
        wall, before = time.time(), self.looked
        self.looked = wall
        if before is not None and wall > before - CLOCK:
            return
        for entry in list(self.schedule.values()):
            last = getattr(entry, "last_run_at", None)
            if last is None:
                continue
            present = maybe_make_aware(entry.default_now())
            if maybe_make_aware(last) - present > timedelta(seconds=CLOCK):
                logger.warning("%s was last sent at %s, a time to come: it counts as sent now", entry.name, last)
                entry.last_run_at = present if last.tzinfo else present.replace(tzinfo=None)
                if hasattr(entry, "model"):
                    entry.model.last_run_at = entry.last_run_at
                self._heap = None  # so that the next times are calculated anew


class ScheduleFile(dict):
    """What PersistentScheduler stores in a shelf, in one file that is replaced as a whole.

    A shelf may be empty or damaged after a crash: Python without gdbm (Debian 12) writes it only when it is closed.
    """

    @classmethod
    def open(cls, filename, writeback=True):
        stored = cls()
        stored.path = Path(f"{filename}.pickle")
        if stored.path.exists():
            stored.update(pickle.loads(stored.path.read_bytes()))  # noqa: S301 -- beat's own file
        return stored

    def sync(self):
        new = self.path.with_suffix(".new")
        with new.open("wb") as file:
            pickle.dump(dict(self), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    close = sync


def set_aside(filename, error):
    """Renames a schedule file that can't be read, so that beat begins a new one. Returns whether there was one."""
    path = Path(f"{filename}.pickle")
    try:
        path.replace(f"{path}.broken")
    except OSError:
        return False
    logger.error("the schedule can't be read (%r): it was renamed to %s.broken, and a new one begins", error, path)
    return True


class Lock:
    """A key in the broker (Redis), whose holder alone sends the application's tasks."""

    def __init__(self, app):
        self.app, self.client = app, None
        self.key = f"evenkeel:beat:{app.main or 'celery'}"
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.held = False
        threading.Thread(target=self.renew, name="evenkeel-lock", daemon=True).start()

    def take(self, watch):
        """Waits until no other beat holds the lock."""
        told = None
        while True:
            try:
                holder = self.try_once()
            except Exception as error:
                self.client, holder = None, f"unknown ({error})"
            if holder is None:
                self.held = True
                return
            self.held = False
            watch.does(f"sending nothing, as another beat of this application holds the lock: {holder}")
            if told != holder:
                told = holder
                logger.warning("another beat of this application holds the lock: %s. This one sends nothing", holder)
            time.sleep(LOCK_TIME / 6)

    def try_once(self):
        """Takes or renews the lock. Returns who holds it; None: this beat does."""
        client = self.redis()
        if client.set(self.key, self.name, nx=True, ex=LOCK_TIME):
            return None
        holder = (client.get(self.key) or b"").decode(errors="replace")
        if holder == self.name:
            client.expire(self.key, LOCK_TIME)
            return None
        return holder

    def redis(self):
        if not self.client:
            conn = self.app.connection_for_write()
            conn.transport_options = {**(conn.transport_options or {}), **timeouts(conn)}
            self.client = conn.default_channel.client
        return self.client

    def renew(self):
        while True:
            time.sleep(LOCK_TIME / 3)
            if self.held:
                with suppress(Exception):
                    self.try_once()

    def release(self):
        if self.held:
            self.held = False
            with suppress(Exception):
                client = self.redis()
                if (client.get(self.key) or b"").decode(errors="replace") == self.name:
                    client.delete(self.key)
