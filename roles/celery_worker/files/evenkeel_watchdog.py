# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a Celery worker report its state to systemd: READY, STATUS, STOPPING and WATCHDOG.

Load:  celery -A app worker -I evenkeel_watchdog      with this file's folder in PYTHONPATH
Unit:  Type=notify  NotifyAccess=main  WatchdogSec=N
In a container, without systemd:  EVENKEEL_HEARTBEAT=FILE  WATCHDOG_USEC=N       (without both it does nothing)

A ready worker pings systemd, unless one of these has lasted for longer than the limit in parentheses:
  1. the process cannot run, or something holds the GIL: the pinging thread cannot send (WatchdogSec);
  2. the consumer's loop does not turn, and the broker is not known to be down (WatchdogSec);
     in the solo pool the loop cannot turn while a task runs, so there it counts only between tasks;
  3. the consumer is disconnected although the broker answers a connection of our own (GRACE);
  4. the worker is idle and has room, messages that it may take wait in the queues from which it consumes, and it
     takes none (GRACE; Redis and SQS: a worker that lost its queues while reconnecting). Whoever can't be sure
     that it may take them counts none, as "waiting" may mean: for another consumer, or until later.
Never a reason: a dead broker, a long task, a shutdown in progress (TimeoutStopSec= limits that).
"""

import gc
import importlib
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from celery import VERSION, bootsteps, signals
from celery.utils import log
from celery.worker import state

if os.environ.get("EVENKEEL_LOG_FILE"):
    importlib.import_module("evenkeel_log_file")  # Celery's signals call it

ADDR = os.environ.get("NOTIFY_SOCKET", "")
HEARTBEAT = None
if os.environ.get("EVENKEEL_HEARTBEAT") and not ADDR:
    HEARTBEAT = importlib.import_module("evenkeel_heartbeat")  # first: it checks the variables below
LIMIT = int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6  # seconds; 0: no WatchdogSec=, so only READY and STATUS
GRACE = float(os.environ.get("EVENKEEL_GRACE") or max(LIMIT, 60))  # more than the 30 s between Celery's retries
EVERY = min(LIMIT / 4 or 15, 15)
PAUSE = min(2 * EVERY, 15)  # between probes: half of LIMIT, so that a dead broker is known before the loop is stale
SETTLES = {"sqs": 300}  # seconds for which a broker may still count messages that have been taken
HAND_BACK = float(os.environ.get("EVENKEEL_HAND_BACK") or 0)  # seconds of a warm shutdown before a cold one; 0: none
now = time.monotonic


def real(module, name):
    """The original of what gevent or eventlet replaced, as all their "threads" stop whenever one of them blocks."""
    if "gevent.monkey" in sys.modules:
        return sys.modules["gevent.monkey"].get_original(module, name)
    if "eventlet.patcher" in sys.modules:
        return getattr(sys.modules["eventlet.patcher"].original(module), name)
    return getattr(__import__(module), name)


def notify(*lines):
    """Tells systemd, or in a container the heartbeat."""
    if HEARTBEAT:
        return HEARTBEAT.notify(*lines)
    try:
        sock = real("socket", "socket")(1, 2 | 2048)  # AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK
        with sock:
            sock.sendto("\n".join(lines).encode(), "\0" + ADDR[1:] if ADDR[0] == "@" else ADDR)
    except OSError:
        pass  # systemd is re-executing, or its queue is full: the next ping comes soon


class Watchdog(bootsteps.StartStopStep):
    """The last step of Celery's consumer: started each time it has connected, stopped when the connection is lost.

    Evidence comes from the consumer's loop (beat), from a thread that connects to the broker (probe) and from Celery's
    own state. A second thread (ping) draws the conclusion (sick) and notifies systemd.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c, **kwargs):
        super().__init__(c, **kwargs)
        self.c, self.tref = c, None
        self.started = self.ready = False  # the threads run; the loop has turned and READY=1 was sent
        self.tick = now()  # the loop's last turn
        self.down = now()  # since when the consumer is disconnected (None: it is not)
        self.broker = None  # the last probe's answer: True, False, or None: not asked
        self.asking = self.up = self.mute = None  # since when: a probe runs; the broker answers; it does not
        self.starved = 0  # how many probes, one after the other, saw tasks wait while the worker took none
        self.patience = GRACE  # for how long that is no reason
        for taken in ("received", "revoked", "rejected", "unknown"):  # whatever it then does with the message
            getattr(signals, f"task_{taken}").connect(self.on_taken, weak=False)
        self.refuse, c.on_decode_error = c.on_decode_error, self.on_decode_error

    def on_taken(self, **kwargs):
        self.starved = 0

    def on_decode_error(self, message, exc):
        """Celery has no signal for it."""
        self.on_taken()
        self.refuse(message, exc)

    def beat(self):
        """The loop turns."""
        self.tick = now()
        if not self.ready:
            self.ready = True
            notify("READY=1", f"STATUS={self.status()}")

    def start(self, c):  # connected (again), and about to enter the loop
        self.tick, self.starved = now(), 0
        self.down = None  # last, as the thread must not take the loop's last turn before the loss for a current one
        c.call_soon(self.beat)
        if c.hub:
            self.tref = c.timer.call_repeatedly(EVERY / 2, self.beat)
        if not self.started:
            self.started = True
            real("_thread", "start_new_thread")(self.ping, ())
            if LIMIT:
                threading.Thread(target=self.probe, name="evenkeel-probe", daemon=True).start()

    def stop(self, c):  # connection lost, or shutting down
        self.down = now()
        if self.tref:
            self.tref.cancel()

    def stopping(self):
        asked = [state.should_stop, state.should_terminate]  # exit codes, and 0 is one
        return (
            self.c.controller.blueprint.state != bootsteps.RUN
            or any(code is not None and code is not False for code in asked)
            or getattr(log, "_in_sighandler", False)  # a soft shutdown waits for its tasks in there
        )

    def sick(self):
        """Why systemd should restart the worker; None: no reason."""
        # copies, as other threads may change them meanwhile
        down, up, asking = self.down, self.up, self.asking
        t, stale = now(), now() - self.tick
        if not self.ready or self.stopping():
            return None
        if down is not None:
            if up and t - max(down, up) > GRACE:
                return f"disconnected for {t - down:.0f} s although the broker answers"
        elif stale > LIMIT:
            solo = type(self.c.pool).__module__.endswith(".solo") and state.active_requests
            # under gevent and eventlet the probe stops when the loop does, so it counts only for as long as it may take
            if not solo and self.broker is not False and (not asking or t - asking > max(LIMIT, 10)):
                return f"the consumer's loop has not turned for {stale:.0f} s"
        else:
            # Counted by probes, as a machine that stood still had a long time and no chance to take a task.
            waited = (self.starved - 1) * PAUSE
            if waited >= self.patience:
                return f"idle, yet tasks have been waiting in its queues for {waited:.0f} s"
        return None

    def status(self):
        """What `systemctl status` shows."""
        down, mute = self.down, self.mute or self.asking
        if self.stopping():
            doing = "stopping"
        elif down is None:
            silence = now() - mute if mute else 0
            doing = f"the broker has not answered for {silence:.0f} s" if silence > 5 else "ready"
        else:
            broker = {True: ", the broker answers", False: ", the broker does not answer", None: ""}[self.broker]
            doing = f"disconnected for {now() - down:.0f} s{broker}"
        running, taken = len(state.active_requests), len(state.reserved_requests)
        return f"{doing}; {running} running, {taken} taken, {state.all_total_count[0]} started in all"

    def ping(self):
        sleep = real("time", "sleep")
        while True:
            if self.down is None and not self.c.hub:  # gevent, eventlet, blocking transports
                self.c.call_soon(self.beat)
            sick = LIMIT and self.sick()
            if sick:
                # Directly to standard error, as a hung worker may hold the lock of its logging.
                remedy = "ending the worker" if HEARTBEAT else "asking systemd for a restart"
                os.write(2, f"evenkeel_watchdog: {remedy}: {sick}\n".encode())
                # Once, as each further one would restart TimeoutAbortSec=. If it is lost, or systemd is older than 243
                # and does not know it, the missing pings have the same effect.
                return notify(f"STATUS=sick: {sick}", "WATCHDOG=trigger")
            notify("WATCHDOG=1", f"STATUS={self.status()}")
            sleep(EVERY)

    def probe(self):
        while True:
            time.sleep(PAUSE)
            if self.down is None and state.reserved_requests and now() - self.tick < EVERY:
                self.broker = self.up = self.mute = None  # it executes tasks, so there is nothing to check
                self.starved = 0
                continue
            self.asking = now()
            try:
                waiting = self.ask_broker()
            except Exception:
                self.broker, self.up, self.starved, self.mute = False, None, 0, self.mute or self.asking
            else:
                self.broker, self.up, self.mute = True, self.up or now(), None
                self.starved = self.starved + 1 if waiting and not state.reserved_requests else 0
            self.asking = None

    def ask_broker(self):
        """Probes the consumer's broker; while it is disconnected, each configured broker until one answers."""
        current = self.c.connection if self.down is None else None
        conn = current.clone() if current else self.c.app.connection_for_read()
        others = [] if current else conn.alt[1:]
        while True:
            try:
                return self.waiting(conn)
            except Exception:
                if not others:
                    raise
                conn.switch(others.pop(0))

    def waiting(self, conn):
        """Makes a new connection; returns how many messages wait that the worker would surely take if it could."""
        driver = conn.transport.driver_type
        self.patience = max(GRACE, SETTLES.get(driver, 0))
        conn.transport_options = in_time(driver, conn.transport_options or {})
        link = conn.transport.establish_connection()  # no retries, unlike Connection.connect()
        try:
            consumer = self.c.task_consumer
            # Full: ETA and rate-limited tasks take room, too. Other brokers than these two push messages, as RabbitMQ
            # does, or also count those that another worker holds, or that are not due.
            if driver not in ("redis", "sqs") or not consumer or not consumer.channel.qos.can_consume():
                return 0
            channel = conn.transport.create_channel(link)
            # What it consumes, and not what the application knows: that includes queues to which it only sends, or that
            # it has paused. Nobody takes what waits in a queue for a broadcast, as its messages are published.
            queues = [queue for queue in consumer.queues if consumer.consuming_from(queue)]
            return sum(takeable(channel, queue.name) for queue in queues if queue.exchange.type != "fanout")
        except conn.connection_errors:
            raise
        except Exception:
            return 0  # it answers, but not this: the worker may take messages, and not count them
        finally:
            conn.transport.close_connection(link)


def in_time(driver, options):
    """Transport options with which a frozen broker keeps a probe waiting for seconds only."""
    socket = {"socket_timeout": 3, "socket_connect_timeout": 3}
    if driver == "redis":
        backoff, retry = importlib.import_module("redis.backoff"), importlib.import_module("redis.retry")
        once = {"retry": retry.Retry(backoff.NoBackoff(), 0)}  # redis-py 6 and later ask each sentinel eleven times
        return {**options, **socket, "sentinel_kwargs": {**(options.get("sentinel_kwargs") or {}), **socket, **once}}
    limits = {
        "amqp": {"read_timeout": 3, "write_timeout": 3},
        "sqs": {
            "client-config": {
                **(options.get("client-config") or {}),
                **{"connect_timeout": 3, "read_timeout": 3, "retries": {"total_max_attempts": 1}},
            }
        },
    }
    return {**options, **limits.get(driver, {})}


def takeable(channel, name):
    """How many messages in a queue of Redis or SQS any consumer may take now."""
    waiting = channel._size(name)
    if waiting and name.endswith(".fifo"):  # while a message is in flight, the others of its group wait
        asked = "ApproximateNumberOfMessagesNotVisible"
        sqs, url = channel.sqs(queue=channel.canonical_queue_name(name)), channel._new_queue(name)
        if int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[asked])["Attributes"][asked]):
            return 0
    return waiting


if ADDR or HEARTBEAT:

    @signals.worker_init.connect(weak=False)
    def on_init(sender, **kwargs):
        notify("STATUS=starting: connecting to the broker")
        sender.app.steps["consumer"].add(Watchdog)

    @signals.worker_shutting_down.connect(weak=False)
    def on_stopping(how, **kwargs):
        notify("STOPPING=1", "STATUS=stopping")
        # Since Celery 5.5, a cold shutdown returns unacknowledged tasks to the broker at once. A worker that is killed
        # does not, and with Redis its tasks wait for the visibility time-out.
        if how == "Warm" and HAND_BACK and VERSION >= (5, 5):
            timer = threading.Timer(HAND_BACK, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    def on_fork():
        # children must not notify systemd; the parent keeps the variables, as it re-executes itself on SIGHUP
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)
        # when memory runs out, a task has used it, but the main process may look larger, as it has mapped more files
        score = Path("/proc/self/oom_score_adj")
        with suppress(OSError):
            score.write_text(str(min(int(score.read_text()) + 200, 1000)))

    # The garbage collector writes to each object that it examines, which would copy memory that children share with the
    # main process. It skips frozen objects. In the main process they are unfrozen again, or garbage among them would
    # never be freed.
    os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze, after_in_child=on_fork)
