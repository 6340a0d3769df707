"""When the watchdog asks for a restart and when it never does: its conclusion, given the evidence.

Celery is not installed here, so it is simulated; molecule/watchdog uses the real one.
"""

import gc
import importlib.util
import signal
import socket
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from project import PROJECT

FILE = PROJECT / "roles" / "celery_worker" / "files" / "evenkeel_watchdog.py"
LIMIT, GRACE, PAUSE = 10, 60, 5
TAKEN = ("received", "revoked", "rejected", "unknown")  # what happens to a message, by Celery's signals
RUN, CLOSE = 1, 2


def module(name, **members):
    made = ModuleType(name)
    made.__dict__.update(members)
    return made


class Signal:
    def __init__(self):
        self.receivers = []

    def connect(self, receiver=None, **options):
        if receiver is None:
            return self.connect
        self.receivers.append(receiver)
        return receiver


class StartStopStep:
    def __init__(self, c, **options):
        pass


@pytest.fixture
def celery(monkeypatch):
    """The parts of Celery that the watchdog uses."""
    parts = {
        "bootsteps": module("celery.bootsteps", StartStopStep=StartStopStep, RUN=RUN),
        "signals": module(
            "celery.signals",
            worker_init=Signal(),
            worker_shutting_down=Signal(),
            **{f"task_{taken}": Signal() for taken in TAKEN},
        ),
    }
    log = module("celery.utils.log", _in_sighandler=False)
    state = module(
        "celery.worker.state",
        should_stop=None,
        should_terminate=None,
        active_requests=set(),
        reserved_requests=set(),
        all_total_count=[0],
    )
    modules = [
        module("celery", VERSION=(5, 5, 0, "", ""), **parts),
        *parts.values(),
        module("celery.utils", log=log),
        log,
        module("celery.worker", state=state),
        state,
        module("redis.backoff", NoBackoff=lambda: None),
        module("redis.retry", Retry=lambda backoff, retries: retries),
    ]
    for each in modules:
        monkeypatch.setitem(sys.modules, each.__name__, each)
    return SimpleNamespace(**parts, state=state, log=log, itself=modules[0])


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """The other end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(LIMIT * 1_000_000))
        yield listening


@pytest.fixture
def at_fork():
    """The watchdog's handlers for forks, by their names in os.register_at_fork."""
    return {}


@pytest.fixture
def load(celery, monkeypatch, at_fork):
    def run():
        # In this process, the handlers would remove the variables that later tests need.
        monkeypatch.setattr("os.register_at_fork", lambda **moments: at_fork.update(moments))
        spec = importlib.util.spec_from_file_location("evenkeel_watchdog", FILE)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return run


@pytest.fixture
def dog(systemd, load, monkeypatch):
    """The watchdog of a worker that is ready, at second 3600 of the clock; its threads don't run."""
    loaded = load()
    monkeypatch.setattr(loaded, "now", lambda: 3600.0)
    pool = type("TaskPool", (), {"__module__": "celery.concurrency.prefork"})()
    controller = SimpleNamespace(blueprint=SimpleNamespace(state=RUN))
    dog = loaded.Watchdog(SimpleNamespace(pool=pool, controller=controller, hub=object(), on_decode_error=None))
    dog.ready, dog.down = True, None
    return dog


def ago(seconds):
    return 3600.0 - seconds


def test_a_healthy_worker_is_not_restarted(dog):
    assert dog.sick() is None
    assert dog.status() == "ready; 0 running, 0 taken, 0 started in all"


def test_a_loop_that_does_not_turn_is_a_reason(dog):
    dog.tick = ago(LIMIT + 1)
    assert dog.sick() == "the consumer's loop has not turned for 11 s"


def test_a_loop_that_waits_for_a_dead_broker_is_no_reason(dog):
    dog.tick, dog.broker = ago(10 * LIMIT), False
    assert dog.sick() is None


def test_a_loop_that_stops_during_a_probe_is_no_reason_until_the_limit(dog):
    dog.tick, dog.asking = ago(LIMIT + 1), ago(1)
    assert dog.sick() is None
    dog.asking = ago(LIMIT + 1)
    assert "loop" in dog.sick(), "a probe that does not come back is no excuse"


def test_a_task_in_the_solo_pool_is_no_reason(dog, celery):
    dog.c.pool = type("TaskPool", (), {"__module__": "celery.concurrency.solo"})()
    dog.tick = ago(10 * LIMIT)
    celery.state.active_requests.add("a task")
    assert dog.sick() is None
    celery.state.active_requests.clear()
    assert "loop" in dog.sick()


def test_a_lost_connection_is_a_reason_once_the_broker_answers(dog):
    dog.down = ago(600)
    assert dog.sick() is None, "no probe has had an answer from the broker"
    dog.up = ago(GRACE)
    assert dog.sick() is None
    dog.up = ago(GRACE + 1)
    assert dog.sick() == "disconnected for 600 s although the broker answers"


def test_an_idle_worker_is_a_reason_while_tasks_wait(dog):
    dog.starved = GRACE // PAUSE
    assert dog.sick() is None
    dog.starved += 1
    assert dog.sick() == "idle, yet tasks have been waiting in its queues for 60 s"


def test_tasks_that_waited_before_a_new_connection_do_not_count(dog):
    dog.starved = 600
    dog.start(SimpleNamespace(call_soon=lambda call: None, hub=None))
    assert dog.sick() is None


def test_a_restart_is_requested_once(dog, systemd, capfd):
    """Each further request would restart TimeoutAbortSec=."""
    dog.tick = ago(600)
    dog.ping()
    sick = "the consumer's loop has not turned for 600 s"
    assert systemd.recv(1000).decode().splitlines() == [f"STATUS=sick: {sick}", "WATCHDOG=trigger"]
    assert capfd.readouterr().err == f"evenkeel_watchdog: asking systemd for a restart: {sick}\n"


class Connection:
    """The parts of kombu's Connection that the watchdog uses; `up` are the brokers that answer."""

    up, driver_type, connection_errors = (), "redis", (ConnectionError,)

    def __init__(self, *addresses):
        self.alt, self.at, self.transport, self.transport_options = list(addresses), addresses[0], self, {}

    def clone(self):
        copy = Connection(*self.alt)
        copy.at = self.at
        return copy

    def switch(self, address):
        self.at = address

    def establish_connection(self):
        if self.at not in self.up:
            raise ConnectionRefusedError(self.at)
        return self

    def close_connection(self, link):
        pass

    def create_channel(self, link):
        return self

    def _size(self, queue):
        return {"first": 1, "second": 2}[self.at]


class Consumer:
    """Celery's consumer of tasks, which has room."""

    def __init__(self):
        self.channel = SimpleNamespace(qos=SimpleNamespace(can_consume=lambda: True))
        self.queues = [SimpleNamespace(name="queue", exchange=SimpleNamespace(type="direct"))]
        self.consuming_from = lambda queue: True


@pytest.fixture
def two_brokers(dog, monkeypatch):
    """The consumer is connected to the second of two brokers. Sets which of them answer."""
    dog.c.app = SimpleNamespace(connection_for_read=lambda: Connection("first", "second"))
    dog.c.task_consumer = Consumer()
    dog.c.connection = Connection("first", "second")
    dog.c.connection.switch("second")
    return lambda *up: monkeypatch.setattr(Connection, "up", up)


def test_a_connected_consumers_own_broker_is_probed(dog, two_brokers):
    two_brokers("first", "second")
    assert dog.ask_broker() == 2
    two_brokers("first")
    with pytest.raises(ConnectionRefusedError, match="second"):
        dog.ask_broker()


def test_any_broker_of_a_disconnected_consumer_may_answer(dog, two_brokers):
    dog.down = ago(1)
    two_brokers("first", "second")
    assert dog.ask_broker() == 1
    two_brokers("second")
    assert dog.ask_broker() == 2
    two_brokers()
    with pytest.raises(ConnectionRefusedError):
        dog.ask_broker()


@pytest.fixture
def probe(dog, monkeypatch):
    """One turn of the probing thread."""

    def run():
        turns = iter([None])
        monkeypatch.setattr("time.sleep", lambda seconds: next(turns))
        with pytest.raises(StopIteration):
            dog.probe()
        assert dog.asking is None

    return run


def test_a_probe_of_a_broker_that_answers(dog, celery, probe, two_brokers):
    two_brokers("second")
    probe()
    assert (dog.broker, dog.up, dog.starved) == (True, 3600, 1)
    probe()
    assert dog.starved == 2, "since then it has taken nothing"
    celery.state.reserved_requests.add("a task")
    dog.tick = ago(LIMIT)
    probe()
    assert dog.starved == 0


def test_a_probe_of_a_broker_that_does_not_answer(dog, probe, two_brokers):
    two_brokers()
    dog.up, dog.starved = ago(50), 10
    probe()
    assert (dog.broker, dog.up, dog.starved) == (False, None, 0)
    dog.mute = ago(20)
    probe()
    assert dog.status().startswith("the broker has not answered for 20 s; ")
    two_brokers("second")
    probe()
    assert dog.status().startswith("ready; ")


@pytest.mark.parametrize("error", [PermissionError("NOPERM"), ConnectionResetError()])
def test_a_broker_that_refuses_to_count_is_not_down(dog, probe, two_brokers, monkeypatch, error):
    def refuse(self, queue):
        raise error

    two_brokers("second")
    monkeypatch.setattr(Connection, "_size", refuse)
    probe()
    assert (dog.broker, dog.starved) == (not isinstance(error, ConnectionError), 0)


@pytest.mark.parametrize("taken", TAKEN)
def test_whoever_takes_messages_is_not_deaf_whatever_becomes_of_them(dog, celery, taken):
    dog.starved = 10
    (heard,) = getattr(celery.signals, f"task_{taken}").receivers
    heard(sender="a worker")
    assert dog.starved == 0


def test_whoever_takes_messages_that_cannot_be_decoded_is_not_deaf(dog):
    dog.starved, refused = 10, []
    dog.refuse = lambda *args: refused.append(args)
    dog.c.on_decode_error("a message", "why")
    assert dog.starved == 0
    assert refused == [("a message", "why")], "Celery goes on as before"


def full(dog):
    """ETA and rate-limited tasks, a prefetch limit, worker_disable_prefetch."""
    dog.c.task_consumer.channel.qos.can_consume = lambda: False


def cancelled(dog):
    """By an operator or by the application; or a queue to which the application only sends."""
    dog.c.task_consumer.consuming_from = lambda queue: False


def removed(dog):
    dog.c.task_consumer.queues = []


def broadcast(dog):
    """A list of the name of a queue for broadcasts."""
    dog.c.task_consumer.queues[0].exchange.type = "fanout"


def shut_down(dog):
    dog.c.task_consumer = None


@pytest.mark.parametrize("keep", [full, cancelled, removed, broadcast, shut_down])
def test_messages_that_the_worker_may_not_take_do_not_wait_for_it(dog, two_brokers, keep):
    two_brokers("second")
    keep(dog)
    assert dog.ask_broker() == 0


@pytest.mark.parametrize("driver", ["amqp", "azureservicebus", "gcpubsub", "kafka", "mongodb", "qpid", "sql", "N/A"])
def test_brokers_that_push_messages_or_count_those_of_others_are_not_asked_for_numbers(
    dog, two_brokers, driver, monkeypatch
):
    two_brokers("second")
    monkeypatch.setattr(Connection, "driver_type", driver)
    assert dog.ask_broker() == 0
    two_brokers()
    with pytest.raises(ConnectionRefusedError):
        dog.ask_broker()


class SQS:
    """A channel of kombu's transport SQS; `held`: the messages that are in flight."""

    held = 0

    def _size(self, queue):
        return 3

    def canonical_queue_name(self, queue):
        return f"prefix-{queue}"

    def _new_queue(self, queue):
        return f"https://sqs.example/1/prefix-{queue}"

    def sqs(self, queue):
        return self

    def get_queue_attributes(self, QueueUrl, AttributeNames):
        assert QueueUrl == "https://sqs.example/1/prefix-orders.fifo"
        return {"Attributes": {name: str(self.held) for name in AttributeNames}}


@pytest.mark.parametrize(("queue", "held", "waiting"), [("orders", 1, 3), ("orders.fifo", 1, 0), ("orders.fifo", 0, 3)])
def test_messages_of_a_group_wait_for_the_one_that_another_worker_holds(load, systemd, queue, held, waiting):
    channel = SQS()
    channel.held = held
    assert load().takeable(channel, queue) == waiting


def test_numbers_that_a_broker_corrects_later_need_more_time(dog, two_brokers, monkeypatch):
    two_brokers("second")
    monkeypatch.setattr(Connection, "driver_type", "sqs")
    dog.ask_broker()
    dog.starved = 300 // PAUSE
    assert dog.sick() is None
    dog.starved += 1
    assert dog.sick() == "idle, yet tasks have been waiting in its queues for 300 s"


@pytest.fixture
def in_time(systemd, load):
    return load().in_time


@pytest.mark.parametrize(
    ("driver", "given", "kept"),
    [
        (
            "redis",
            {"global_keyprefix": "shop:", "socket_timeout": 600},
            {"global_keyprefix": "shop:", "socket_timeout": 3},
        ),
        ("amqp", {"confirm_publish": True, "read_timeout": 600}, {"confirm_publish": True, "read_timeout": 3}),
        ("mongodb", {"socket_timeout": 600}, {"socket_timeout": 600}),
    ],
)
def test_a_probe_has_the_workers_options_and_a_limit(in_time, driver, given, kept):
    assert kept.items() <= in_time(driver, given).items()


@pytest.mark.parametrize(
    ("driver", "option", "limit"),
    [("redis", "sentinel_kwargs", "socket_timeout"), ("sqs", "client-config", "read_timeout")],
)
@pytest.mark.parametrize("given", [{}, {"password": "x"}, None])
def test_a_probe_keeps_what_the_application_says_of_connections(in_time, driver, option, limit, given):
    probed = in_time(driver, {option: given})[option]
    assert {**(given or {}), limit: 3}.items() <= probed.items()


def test_the_broker_is_not_probed_while_tasks_are_executed(dog, celery, probe, two_brokers):
    two_brokers("second")
    celery.state.reserved_requests.add("a task")
    dog.tick = 3600
    probe()
    assert dog.broker is None


@pytest.mark.parametrize("name", ["should_stop", "should_terminate"])
@pytest.mark.parametrize("code", [0, 1, True])
def test_a_shutdown_is_never_interrupted(dog, celery, name, code):
    dog.tick = ago(600)
    setattr(celery.state, name, code)
    assert dog.sick() is None
    assert dog.status().startswith("stopping")


def test_a_soft_shutdown_is_never_interrupted(dog, celery):
    dog.tick = ago(600)
    celery.log._in_sighandler = True
    assert dog.sick() is None


def test_a_consumer_that_closes_is_never_interrupted(dog):
    dog.down, dog.up = ago(600), ago(600)
    dog.c.controller.blueprint.state = CLOSE
    assert dog.sick() is None


def test_nothing_counts_before_the_loop_has_turned(dog):
    dog.ready, dog.tick = False, ago(600)
    assert dog.sick() is None


def test_ready_is_sent_once_and_by_the_loop(dog, systemd):
    dog.ready = False
    dog.beat()
    dog.beat()
    assert systemd.recv(1000).decode().splitlines() == ["READY=1", "STATUS=ready; 0 running, 0 taken, 0 started in all"]
    with pytest.raises(BlockingIOError):
        systemd.recv(1000)


def test_the_status_tells_whether_the_broker_answers(dog):
    dog.down = ago(7)
    assert dog.status().startswith("disconnected for 7 s; ")
    dog.broker = False
    assert dog.status().startswith("disconnected for 7 s, the broker does not answer; ")


def test_the_watchdog_adds_one_step_to_the_consumer(systemd, load, celery):
    loaded = load()
    steps = {"consumer": set()}
    (on_init,) = celery.signals.worker_init.receivers
    on_init(sender=SimpleNamespace(app=SimpleNamespace(steps=steps)))
    assert steps == {"consumer": {loaded.Watchdog}}
    assert systemd.recv(1000) == b"STATUS=starting: connecting to the broker"


@pytest.fixture
def stopped(systemd, load, celery, monkeypatch):
    """The signals that a worker of this version has sent itself by the end of a shutdown."""
    monkeypatch.setenv("EVENKEEL_HAND_BACK", "0.01")

    def run(how, version):
        celery.itself.VERSION = version
        loaded, sent = load(), []
        monkeypatch.setattr(loaded.os, "kill", lambda pid, number: sent.append(number))
        (on_stopping,) = celery.signals.worker_shutting_down.receivers
        others = threading.enumerate()
        on_stopping(how=how)
        for timer in set(threading.enumerate()) - set(others):
            timer.join()
        return sent

    return run


@pytest.mark.parametrize(
    ("how", "version", "signals"),
    [("Warm", (5, 5, 0), [signal.SIGQUIT]), ("Warm", (5, 4, 0), []), ("Cold", (5, 5, 0), [])],
)
def test_a_warm_shutdown_that_takes_too_long_becomes_a_cold_one(stopped, systemd, how, version, signals):
    assert stopped(how, version) == signals
    assert systemd.recv(1000) == b"STOPPING=1\nSTATUS=stopping"


def test_a_childs_garbage_collector_skips_what_it_shares_with_the_main_process(systemd, load, at_fork):
    load()
    at_fork["before"]()
    try:
        assert gc.get_freeze_count(), "what the child inherits"
    finally:
        at_fork["after_in_parent"]()
    assert not gc.get_freeze_count(), "in the main process garbage would stay for ever"


def test_without_notify_socket_the_watchdog_does_nothing(load, celery, monkeypatch, at_fork):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    load()
    assert not at_fork
    assert not celery.signals.worker_init.receivers
    assert not celery.signals.worker_shutting_down.receivers


@pytest.fixture
def heartbeat(monkeypatch):
    """What evenkeel_heartbeat was told."""
    told = []
    loaded = module("evenkeel_heartbeat", notify=lambda *lines: told.append(lines))
    monkeypatch.setitem(sys.modules, "evenkeel_heartbeat", loaded)
    monkeypatch.setenv("EVENKEEL_HEARTBEAT", "/tmp/heartbeat")
    return told


def test_without_systemd_the_heartbeat_is_told(load, celery, heartbeat, monkeypatch, capfd):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", str(LIMIT * 1_000_000))
    loaded = load()
    assert celery.signals.worker_init.receivers
    dog = loaded.Watchdog(SimpleNamespace(hub=object(), on_decode_error=None))
    monkeypatch.setattr(dog, "sick", lambda: "it hangs")
    dog.ping()
    assert heartbeat == [("STATUS=sick: it hangs", "WATCHDOG=trigger")]
    assert capfd.readouterr().err == "evenkeel_watchdog: ending the worker: it hangs\n"


def test_with_systemd_the_heartbeat_is_not_told(systemd, load, heartbeat):
    load().notify("READY=1")
    assert systemd.recv(1000) == b"READY=1"
    assert not heartbeat


def test_a_missing_socket_is_no_error(systemd, load, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    load().notify("READY=1")
