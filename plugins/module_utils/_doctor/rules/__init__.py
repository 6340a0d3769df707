# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The traps that the doctor knows, in the order of docs/doctor.md."""

from __future__ import annotations

from ..findings import HINT, SERIOUS, WARNING, Rule
from . import acknowledgement, prefetch, redelivery, redis, results, settings, versions

_CELERY = "https://docs.celeryq.dev/en/stable"
_ISSUES = "https://github.com/celery/celery/issues"
_REDIS = "https://redis.io/docs/latest/operate/oss_and_stack/management"

RULES = (
    Rule(
        "visibility_timeout",
        SERIOUS,
        "A long task runs twice, as visibility_timeout is shorter than it may take",
        f"{_ISSUES}/5935",
        redelivery.visibility_timeout,
        of_workers=True,
    ),
    Rule(
        "visibility_timeout_reserved",
        WARNING,
        "A reserved task runs twice, as visibility_timeout is shorter than it may wait",
        "https://github.com/pretix/pretix/issues/2058",
        redelivery.visibility_timeout_reserved,
        of_workers=True,
    ),
    Rule(
        "visibility_timeout_eta",
        SERIOUS,
        "A task with an ETA runs several times, as visibility_timeout is shorter",
        "https://github.com/celery/kombu/issues/337",
        redelivery.visibility_timeout_eta,
        of_workers=True,
    ),
    Rule(
        "rabbitmq_timeout",
        HINT,
        "RabbitMQ closes the channel of a worker with a long task",
        f"{_ISSUES}/6760",
        redelivery.rabbitmq_timeout,
        of_workers=True,
    ),
    Rule(
        "redis_evicts_queues",
        SERIOUS,
        "Redis drops queues when its memory is full",
        "https://github.com/sidekiq/sidekiq/issues/2883",
        redis.evicts_queues,
    ),
    Rule(
        "redis_evicts_results",
        WARNING,
        "Redis drops results when its memory is full",
        "https://redis.io/docs/latest/develop/reference/eviction/",
        redis.evicts_results,
    ),
    Rule(
        "redis_almost_full",
        SERIOUS,
        "Redis is almost full",
        "https://redis.io/docs/latest/develop/reference/eviction/",
        redis.almost_full,
    ),
    Rule(
        "redis_not_persistent",
        WARNING,
        "A restart of Redis loses all tasks",
        f"{_REDIS}/persistence/",
        redis.not_persistent,
    ),
    Rule(
        "redis_failed_to_save",
        SERIOUS,
        "Redis can't save its data",
        f"{_REDIS}/persistence/",
        redis.failed_to_save,
    ),
    Rule(
        "cache_beside_queues",
        SERIOUS,
        "A cache is in the same database as the queues",
        "https://docs.djangoproject.com/en/stable/topics/cache/#the-low-level-cache-api",
        redis.cache_beside_queues,
    ),
    Rule(
        "results_never_expire",
        WARNING,
        "Results are kept forever",
        f"{_CELERY}/userguide/configuration.html#result-expires",
        results.never_expire,
        of_workers=True,
    ),
    Rule(
        "requeued_forever",
        WARNING,
        "A task that needs too much memory is executed again forever",
        f"{_CELERY}/userguide/tasks.html#Task.reject_on_worker_lost",
        acknowledgement.requeued_forever,
        of_workers=True,
    ),
    Rule(
        "requeued_without_late",
        WARNING,
        "reject_on_worker_lost has no effect without acks_late",
        f"{_CELERY}/userguide/tasks.html#Task.reject_on_worker_lost",
        acknowledgement.requeued_without_late,
        of_workers=True,
    ),
    Rule(
        "late_not_requeued",
        HINT,
        "A task whose process is killed is not executed again, although it is acknowledged late",
        f"{_CELERY}/userguide/configuration.html#task-reject-on-worker-lost",
        acknowledgement.late_not_requeued,
        of_workers=True,
    ),
    Rule(
        "reserved_behind_long",
        WARNING,
        "Messages wait behind a long task while another worker is idle",
        f"{_CELERY}/userguide/optimizing.html#prefetch-limits",
        prefetch.reserved_behind_long,
        of_workers=True,
    ),
    Rule(
        "too_many_processes",
        WARNING,
        "More tasks compute at once than there are processors",
        f"{_CELERY}/userguide/workers.html#concurrency",
        prefetch.too_many_processes,
        of_workers=True,
    ),
    Rule(
        "known_faults",
        WARNING,
        "A version with a known fault",
        f"{_CELERY}/history/index.html",
        versions.known_faults,
    ),
    Rule(
        "always_eager",
        WARNING,
        "Tasks are not sent, but executed by the sender",
        f"{_CELERY}/userguide/configuration.html#task-always-eager",
        settings.eager,
    ),
    Rule(
        "pickle",
        WARNING,
        "Whoever can write to the broker can execute code",
        f"{_CELERY}/userguide/security.html#serializers",
        settings.pickle,
        of_workers=True,
    ),
    Rule(
        "one_node_name",
        WARNING,
        "Several workers share a node name",
        f"{_ISSUES}/2938",
    ),
    Rule(
        "clocks_apart",
        WARNING,
        "The clocks of hosts differ",
        f"{_ISSUES}/1980",
    ),
    Rule(
        "queue_without_worker",
        WARNING,
        "Tasks go to a queue that no worker consumes",
        "https://github.com/mozilla/sumo/issues/1573",
    ),
    Rule(
        "worker_without_tasks",
        HINT,
        "A worker consumes queues that nobody fills",
        f"{_CELERY}/userguide/routing.html#automatic-routing",
    ),
)
NAMES = tuple(rule.name for rule in RULES)
