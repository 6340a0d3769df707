# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The workers' options, which celery_workers and celery_preflight share."""

    DOCUMENTATION = r"""
options:
  instances:
    description:
      - The workers, each with all of its options; the role C(celery_worker) merges its defaults in.
      - Sizes are written as V(500M) or V(2G), durations as V(300) (seconds), V(5min) or V(1h 30min).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: 'The systemd unit''s name without C(.service).'
        type: str
        required: true
      description:
        description: 'The unit''s C(Description=).'
        type: str
      app:
        description: 'The Celery application, as C(celery -A) takes it. Every worker needs one.'
        type: str
      directory:
        description: 'The application''s directory, C(WorkingDirectory=) of the unit. Every worker needs one.'
        type: str
      executable:
        description: 'Path of the C(celery) command, usually in the application''s virtual environment.'
        type: str
      user:
        description: 'The user that the worker runs as.'
        type: str
      group:
        description: 'The group that the worker runs as; empty for the user''s primary group.'
        type: str
      queues:
        description: 'The queues to consume from; empty for Celery''s default queue.'
        type: list
        elements: str
      concurrency:
        description: 'How many tasks run at once, Celery''s C(worker_concurrency).'
        type: int
      pool:
        description: 'Celery''s pool, C(worker_pool).'
        type: str
        choices: [prefork, threads, solo, gevent, eventlet]
      node_name:
        description: 'The node''s name, C(celery worker -n); empty for C(<name>@%h).'
        type: str
      log_level:
        description: 'Celery''s log level.'
        type: str
        choices: [debug, info, warning, error, critical]
      max_memory_per_child:
        description: A child that has grown to this size is replaced after its task, C(worker_max_memory_per_child).
        type: str
      max_tasks_per_child:
        description: 'A pool child is replaced after this many tasks, Celery''s C(worker_max_tasks_per_child).'
        type: int
      prefetch_multiplier:
        description: 'Messages reserved for each child, Celery''s C(worker_prefetch_multiplier).'
        type: int
      soft_time_limit:
        description: 'A task that runs for this long gets C(SoftTimeLimitExceeded), Celery''s C(task_soft_time_limit).'
        type: str
      time_limit:
        description: 'A task that runs for this long is killed, Celery''s C(task_time_limit).'
        type: str
      settings:
        description:
          - Any other Celery setting by its lower-case name.
          - They stand on the command line, where everybody on the host reads them; secrets go into the environment.
        type: dict
      environment:
        description:
          - Environment variables as a JSON object, kept in a file that only root reads, and never shown.
          - A variable that is null is left out.
        type: json
      memory_high:
        description: 'C(MemoryHigh=): above this the kernel slows the worker down.'
        type: str
      memory_max:
        description: 'C(MemoryMax=): above this the kernel ends one of the worker''s processes.'
        type: str
      memory_swap_max:
        description: 'C(MemorySwapMax=): how much of the worker may be swapped out.'
        type: str
      oom_policy:
        description: 'C(OOMPolicy=): what becomes of the service when the kernel ended one of its processes.'
        type: str
        choices: [continue, stop, kill]
      oom_score_adj:
        description: 'C(OOMScoreAdjust=), from -1000 to 1000.'
        type: int
      restart:
        description: 'C(Restart=).'
        type: str
        choices: ['no', on-success, on-failure, on-abnormal, on-watchdog, on-abort, always]
      restart_sec:
        description: 'C(RestartSec=).'
        type: str
      start_limit_burst:
        description: 'C(StartLimitBurst=).'
        type: int
      start_limit_interval:
        description: 'C(StartLimitIntervalSec=).'
        type: str
      watchdog:
        description: 'C(WatchdogSec=): a worker that hangs for this long is restarted; V(0) switches it off.'
        type: str
      start_timeout:
        description: 'How long the worker may take until it is ready.'
        type: str
      stay_up:
        description:
          - How long the worker has to run after a change, or its former generation comes back; V(0) to not look.
        type: str
      stop_timeout:
        description: 'C(TimeoutStopSec=): how long running tasks may take to finish.'
        type: str
      after:
        description: 'Units to start before this one, besides C(network-online.target).'
        type: list
        elements: str
      stale_workers:
        description: 'What to do before each start with workers of this application and node that belong to no unit.'
        type: str
        choices: [report, stop, kill]
      stale_workers_users:
        description: 'Whose leftovers count, besides those of O(instances[].user).'
        type: list
        elements: str
      stale_workers_timeout:
        description: 'How long a leftover may take to finish its tasks.'
        type: str
      writable_paths:
        description: 'Directories that the worker may write to, C(ReadWritePaths=).'
        type: list
        elements: path
      sandbox:
        description: 'Directives of systemd.exec(5) and their values; V(false) leaves one out.'
        type: dict
"""
