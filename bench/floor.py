"""Prints the memory that the worker needs however it is run, as JSON. Runs with the application's Python.

floor.py PICTURES   (the number that the application holds at once)
"""

import importlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

# What `celery -A celery_app worker` imports, for this pool and this broker.
for name in ("celery.bin.celery", "celery.apps.worker", "celery.worker.consumer", "celery.concurrency.prefork"):
    importlib.import_module(name)
for name in ("kombu.transport.redis", "celery_app", "tasks"):
    importlib.import_module(name)
pss = re.search(r"^Pss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)

import slideshow  # noqa: E402 (the application's)

data = zlib.compress(b"\0\1\2\3")
picture = slideshow.frame(struct.pack(">I", len(data)) + b"IDAT" + data)
print(json.dumps({"interpreter": int(pss[1]) << 10, "pictures": int(sys.argv[1]) * len(picture)}))
