"""An application whose worker can fail in every way. Tasks log their starts and ends in data/done.log."""

import ctypes
import gc
import mmap
import os
import signal
import threading
import time
from pathlib import Path

from celery import Celery, Task, signals
from celery.worker.control import control_command

if "SHOP_IS_BROKEN" in os.environ:
    raise RuntimeError("this release is broken")

app = Celery("shop", broker=os.environ.get("BROKER", "redis://127.0.0.1:6380/0"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


if "SHOP_MAPS" in os.environ:
    # Like an application's shared libraries, this counts for the main process; for children only as far as they use it.
    mapped = mmap.mmap(-1, int(os.environ["SHOP_MAPS"]) << 20)
    mapped.write(bytes(len(mapped)))


@signals.worker_init.connect
def refuse(**kwargs):
    """A release that can be imported, but does not start."""
    if "SHOP_REFUSES" in os.environ:
        os._exit(3)


@signals.worker_ready.connect
def fall_over(**kwargs):
    """A release that starts and then exits."""
    if "SHOP_FALLS_AFTER" in os.environ:
        threading.Timer(float(os.environ["SHOP_FALLS_AFTER"]), os._exit, [3]).start()


@app.task(name="shop.sleep")
def sleep(name, seconds=0):
    """Sleeps for `seconds`, or with None until a test releases it."""
    write(f"begun-{name}")
    while seconds is None and not Path(f"/opt/shop/data/released-{name}").exists():
        time.sleep(0.1)
    time.sleep(seconds or 0)
    write(name)


@app.task(name="shop.pass_on")
def pass_on(name, queue):
    """Sends a task to a queue from which its own worker takes none."""
    app.send_task("shop.sleep", [name], queue=queue)
    write(f"begun-{name}")


@app.task(name="shop.burn")
def burn(name, seconds):
    write(f"begun-{name}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    write(name)


@app.task(name="shop.collect")
def collect(name):
    """A full garbage collection."""
    gc.collect()
    write(name)


def write(line):
    log = os.open("/opt/shop/data/done.log", os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{line}\n".encode())
    os.close(log)


@control_command()
def block_loop(state):
    """Control commands run in the consumer's loop."""
    time.sleep(600)


@control_command()
def block_loop_and_abort(state):
    """Blocks the loop, and ignores the signal with which systemd ends a hung worker."""
    signal.signal(signal.SIGABRT, signal.SIG_IGN)
    time.sleep(600)


@control_command()
def hold_gil(state):
    """PyDLL, unlike CDLL, holds the GIL."""
    ctypes.PyDLL(None).sleep(600)


@control_command()
def forget_queues(state):
    """The consumer's channel no longer polls any queue, although none was cancelled."""
    state.consumer.task_consumer.channel._active_queues.clear()


@control_command()
def pause(state):
    """The application takes no more tasks for a while, which Celery does not know."""
    for queue in state.consumer.task_consumer.queues:
        state.consumer.task_consumer.cancel_by_queue(queue)


@control_command()
def stop_polling(state):
    """The effect of celery/celery#8030: the loop turns, but no longer polls the broker for tasks."""
    state.consumer.hub.on_tick.clear()


@control_command()
def hang_in_reconnect(state):
    """The consumer's next attempt to connect hangs, although the broker answers."""
    state.consumer.connect = lambda: time.sleep(600)


class Bounded(Task):
    """Is redelivered if its process is killed, but fails once it has been started `deliveries` times."""

    acks_late = reject_on_worker_lost = True
    deliveries = 3

    def before_start(self, task_id, args, kwargs):
        key = f"deliveries-{task_id}-{self.request.retries}"
        started = self.backend.incr(key)
        self.backend.expire(key, 86400)
        if started > self.deliveries:
            raise RuntimeError(f"given up: it was started {self.deliveries} times, and never finished")


def eat(name, megabytes):
    """Allocates this much memory."""
    write(f"begun-{name}")
    _ = b"x" * (megabytes << 20)
    write(name)


app.task(name="shop.eat")(eat)
app.task(name="shop.eat_late", acks_late=True)(eat)
app.task(name="shop.eat_again", acks_late=True, reject_on_worker_lost=True)(eat)
app.task(name="shop.eat_bounded", base=Bounded)(eat)
app.task(name="shop.eat_retried", retry_on_worker_lost=True, max_retries=2, default_retry_delay=1)(eat)


@app.task(name="shop.leak")
def leak(name, megabytes):
    """Allocates this much more memory each time."""
    leaked.append(b"x" * (megabytes << 20))
    write(f"{name} {os.getpid()}")


leaked = []


@control_command(args=[("megabytes", int)])
def hoard(state, megabytes):
    """Allocates memory in the main process without blocking its loop."""
    threading.Thread(target=leaked.extend, args=[(b"x" * (1 << 20) for _ in range(megabytes))], daemon=True).start()
