#!/usr/bin/env python3
"""A stand-in for the paid image API of the slideshow: slow, and with a quota for each minute.

POST /v1/images   a PNG after a second or two, or 429 with Retry-After once the quota is used up
GET  /stats       counts of calls since the last reset
POST /reset       reset the counts; /reset?rpm=60&scale=20 also sets another quota
"""

import argparse
import colorsys
import json
import math
import random
import struct
import threading
import time
import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class Quota:
    """A sliding window: `rpm` calls in any minute, even all at once. `scale` makes minutes shorter."""

    def __init__(self, rpm, scale):
        self.lock = threading.Lock()
        self.reset(rpm, scale)

    def reset(self, rpm=None, scale=None):
        with self.lock:
            self.rpm = int(rpm or self.rpm)
            self.window = 60 / float(scale) if scale else self.window
            self.served = deque()
            self.counts = {"requests": 0, "served": 0, "refused": 0, "highest_parallel": 0}
            self.running = getattr(self, "running", 0)

    def enter(self):
        """Seconds until the next call is allowed; 0 if this one is."""
        with self.lock:
            self.running += 1
            self.counts["requests"] += 1
            self.counts["highest_parallel"] = max(self.counts["highest_parallel"], self.running)
            now = time.monotonic()
            while self.served and self.served[0] <= now - self.window:
                self.served.popleft()
            wait = self.served[0] + self.window - now if len(self.served) >= self.rpm else 0
            self.counts["refused" if wait else "served"] += 1
            if not wait:
                self.served.append(now)
            return wait

    def leave(self):
        with self.lock:
            self.running -= 1

    def stats(self):
        with self.lock:
            return {**self.counts, "rpm": self.rpm, "window_seconds": self.window}


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        url = urlsplit(self.path)
        if url.path == "/v1/images":
            self.image()
        elif url.path == "/reset":
            self.server.quota.reset(**dict(parse_qsl(url.query)))
            self.stats()
        else:
            self.send_error(404)

    def do_GET(self):
        self.stats() if self.path == "/stats" else self.send_error(404)

    def image(self):
        quota = self.server.quota
        wait = quota.enter()
        try:
            if wait:
                self.answer(429, "text/plain", b"quota used up\n", ("Retry-After", math.ceil(wait)))
            else:
                time.sleep(self.server.latency * random.uniform(0.7, 1.3))  # noqa: S311 (no secret)
                self.answer(200, "image/png", pixel(random.random()))  # noqa: S311
        finally:
            quota.leave()

    def stats(self):
        self.answer(200, "application/json", json.dumps(self.server.quota.stats()).encode())

    def answer(self, status, kind, body, *headers):
        quota = self.server.quota
        policy = ("RateLimit-Policy", f'"minute";q={quota.rpm};w={quota.window:g}')
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", len(body)), policy, *headers]:
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: /stats is more useful than a line for each call."""


class Server(ThreadingHTTPServer):
    request_queue_size = 256  # five workers call 20 times each in the same instant
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A worker that is killed drops its connections: no traceback for these."""


def pixel(hue):
    """A PNG of one pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = bytes(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.6, 0.9))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
            chunk(b"IDAT", zlib.compress(b"\0" + colour)),
            chunk(b"IEND", b""),
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--rpm", type=int, default=20, help="calls allowed in a minute (default: 20)")
    parser.add_argument("--scale", type=float, default=1, help="minutes go by this many times as fast (default: 1)")
    parser.add_argument("--latency", type=float, default=1.5, help="seconds that an image takes, about (default: 1.5)")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Api)
    server.quota, server.latency = Quota(options.rpm, options.scale), options.latency
    server.serve_forever()


if __name__ == "__main__":
    main()
