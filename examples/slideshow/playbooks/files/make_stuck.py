"""The rows that a crash left stuck: two jobs, four batches and twelve links, in processing for days."""

import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, "/opt/slideshow/backend")
import store

JOBS = ("77cfa3cd-5f0e-4c8a-9a55-0d1c6f1f8a01", "b49d06f6-22b7-4e0d-8a4b-6b1f3c9d7e02")
BATCHES = [f"0ba7c4{number}-0000-4000-8000-000000000000" for number in range(4)]
DAYS_AGO = (datetime.now(timezone.utc) - timedelta(days=2)).isoformat(timespec="seconds")
STUCK = {"status": "processing", "created_at": DAYS_AGO, "updated_at": DAYS_AGO}

store.initialise()
if store.get("batches", BATCHES[0]) is None:
    for job in JOBS:
        store.add("jobs", id=job, images=8, **STUCK)
    for batch in BATCHES:
        store.add("batches", id=batch, **STUCK)
        for number in range(3):
            url = f"https://example.com/{batch}/{number}"
            store.add("links", id=f"{batch}-{number}", batch_id=batch, url=url, images=4, **STUCK)
    print("made")
