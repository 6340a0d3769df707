"""The training runs: hashes in Redis, where the API and both servers see them.

A run goes queued → running → completed or failed. Its `step` and `loss` tell how far it is.
"""

import time

import redis

from server.celery_app import RESULTS

_redis = redis.Redis.from_url(RESULTS, decode_responses=True)


def update(run, **fields):
    _redis.hset(f"imagineer:run:{run}", mapping={**fields, "updated": time.time()})


def started(run):
    """Counts the starts, so that one too many can be seen."""
    _redis.hincrby(f"imagineer:run:{run}", "starts")
    update(run, status="running")


def get(run):
    return _redis.hgetall(f"imagineer:run:{run}")


def all_runs():
    for key in _redis.scan_iter("imagineer:run:*"):
        yield key.rsplit(":", 1)[1], _redis.hgetall(key)


def delete(run):
    _redis.delete(f"imagineer:run:{run}")


def add_sample(**sample):
    """Appends to the samples of disk usage; the last hundred are kept."""
    _redis.xadd("imagineer:disk", sample, maxlen=100)


def samples():
    return [fields for _, fields in _redis.xrange("imagineer:disk")]
