#!/usr/bin/env python3
"""wait_for_jobs.py SECONDS: waits until no new job is pending or processing, and prints the progress."""

import json
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone

until = time.monotonic() + float(sys.argv[1])
fresh = (datetime.now(timezone.utc) - timedelta(hours=1)).isoformat()
printed = ""
while True:
    with urllib.request.urlopen("http://127.0.0.1:8080/api/jobs?limit=100", timeout=10) as answer:
        states = [job["status"] for job in json.load(answer) if job["created_at"] > fresh]
    progress = ", ".join(f"{states.count(state)} {state}" for state in ("pending", "processing", "completed", "failed"))
    if progress != printed:
        print(f"  jobs: {progress}", flush=True)
        printed = progress
    if not {"pending", "processing"} & set(states):
        sys.exit("failed" in states)
    if time.monotonic() > until:
        sys.exit(f"still not done after {sys.argv[1]} s")
    time.sleep(0.5)
