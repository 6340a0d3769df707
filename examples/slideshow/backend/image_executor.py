"""Requests images from the image API: 20 calls at once, and no more in a minute than the quota allows.

The quota is the account's, but each worker process can count only its own calls: one process stays within it, five
together send five times as many, and the API answers 429 to those above the quota.
"""

import os
import random
import re
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.client import HTTPConnection

IMAGE_API = os.environ.get("IMAGE_API", "127.0.0.1:8089")
THREADS = 20
TRIES = 60


class Refused(Exception):
    """The image API refused to make an image."""


class Pacer:
    """Limits the calls in a time window to the quota, which the API's answers contain."""

    def __init__(self, calls=20, seconds=60.0):
        self.calls, self.seconds = calls, seconds
        self.sent = deque()
        self.changed = threading.Condition()

    def wait(self):
        with self.changed:
            while (pause := self._pause()) > 0:
                self.changed.wait(pause)
            self.sent.append(time.monotonic())

    def learn(self, policy):
        """Use the quota of the RateLimit-Policy header, such as `q=20;w=60`."""
        match = re.search(r"q=(\d+);w=([\d.]+)", policy or "")
        if match:
            with self.changed:
                self.calls, self.seconds = int(match[1]), float(match[2])
                self.changed.notify_all()

    def _pause(self):
        window = self.seconds * 1.02  # our clock starts when a call is sent, the API's when it arrives
        now = time.monotonic()
        while self.sent and self.sent[0] <= now - window:
            self.sent.popleft()
        return self.sent[-self.calls] + window - now if len(self.sent) >= self.calls else 0


class GlobalImageExecutor:
    def __init__(self):
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="image")
        self.pacer = Pacer()

    def make(self, count, finish):
        """`count` images, each processed by `finish`."""
        return list(self.threads.map(lambda _: finish(self._image()), range(count)))

    def _image(self):
        for _ in range(TRIES):
            self.pacer.wait()
            status, headers, body = self._call()
            self.pacer.learn(headers.get("RateLimit-Policy"))
            if status == 200:
                return body
            if status != 429:
                raise Refused(f"the image API answered {status}")
            time.sleep(float(headers["Retry-After"]) * random.uniform(1, 1.5))  # noqa: S311 (jitter, no secret)
        raise Refused(f"the image API's quota was used up at each of {TRIES} tries")

    @staticmethod
    def _call():
        connection = HTTPConnection(IMAGE_API, timeout=60)
        try:
            connection.request("POST", "/v1/images")
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@cache
def executor():
    """This process's executor, created at first use, because threads do not survive a fork."""
    return GlobalImageExecutor()
