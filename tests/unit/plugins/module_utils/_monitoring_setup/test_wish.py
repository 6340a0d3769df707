"""What a play wants to be measured follows from the module's options."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import with_defaults
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import MEASURED
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import wish

WORKER = {"name": "shop", "kind": "worker", "log_level": "info", "queues": ["orders"]}
BEAT = {"name": "clock", "kind": "beat", "log_level": "warning", "queues": []}


def options(services=(WORKER, BEAT), **given):
    return {"services": list(services), **with_defaults(MEASURED, given)}


def test_workers_are_measured_with_their_tasks_and_beats_without():
    given = options(tasks=[{"name": "shop.mail", "within": "1h"}], rate_limited="429")
    worker, beat = wish.configuration(given, None).services
    assert worker == {
        "name": "shop",
        "kind": "worker",
        "log_level": "info",
        "tasks": ["shop.mail"],
        "rate_limited": "429",
    }
    assert beat == {"name": "clock", "kind": "beat", "log_level": "warning"}


def test_the_queues_of_workers_and_watched_ones_are_counted():
    watched = {"name": "images", "campaign": None}
    nameless = {**WORKER, "name": "other", "queues": []}
    found = wish.configuration(options([WORKER, nameless], queues=[watched]), None)
    assert found.queues == ("celery", "images", "orders")


def test_without_the_exporter_of_redis_its_url_does_not_matter():
    assert wish.redis(options(exporters=["node"], redis_url="amqp://rabbit")) is None


def test_a_missing_url_is_an_error():
    with pytest.raises(ValueError, match="no worker has CELERY_BROKER_URL in its environment"):
        wish.redis(options())
    assert wish.redis(options(redis_url="redis://h/1")).database == 1


def test_queues_with_keys_of_their_own_are_refused():
    settings = {"broker_transport_options": {"global_keyprefix": "shop.", "visibility_timeout": 60}}
    given = options([{**WORKER, "settings": settings}], redis_url="redis://h")
    with pytest.raises(ValueError, match="shop sets global_keyprefix in broker_transport_options"):
        wish.redis(given)
    assert wish.redis({**given, "exporters": ["node"]}) is None
