"""A compromised application: it puts off its own end for ever (EXTEND_TIMEOUT_USEC= in sd_notify(3))."""

import os
import signal
import socket
import threading
import time

from celery import Celery, signals

app = Celery("clingy", broker=os.environ["BROKER"])


def cling():
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        while True:
            systemd.send(b"EXTEND_TIMEOUT_USEC=600000000\nWATCHDOG=1")
            time.sleep(1)


@signals.worker_ready.connect
def ignore_all_signals(**_):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=cling, daemon=True).start()
