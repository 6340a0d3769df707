# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All metrics that a host exports beside those of node_exporter and redis_exporter.

A series that is missing means that the value can't be known, never that it is zero. Alert rules, the dashboard and the
documentation are tested against METRICS.
"""

from __future__ import annotations

from .._common.metrics import COUNTER, GAUGE, STUCK_JOBS, Metric

# The states of a service: one of them is 1, the others are 0.
STATES = {
    "ready": "it works",
    "running": "it runs, and says nothing of itself: it is not one of our units, as after a rollback to the original",
    "standby": "a beat that sends nothing, as another beat of the application holds the lock",
    "starting": "it is being started, or waits between two attempts",
    "stopping": "it was told to stop, and finishes its tasks",
    "disconnected": "it runs, but the broker does not answer or it has not reconnected",
    "hung": "it does not respond, and systemd is about to restart it",
    "failed": "it ended with an error, and systemd has given it up",
    "stopped": "it was stopped, or never started",
    "missing": "systemd has no such unit, or can't load it",
    "unknown": "systemd does not say, or says what we do not know",
}

# Why a run of a service ended, unless it was stopped. The values of the label `reason`, always all of them.
REASONS = {
    "hung": "it did not respond, and the watchdog had it restarted",
    "crashed": "its main process ended by itself",
    "killed": "a signal ended its main process",
    "out of memory": "the kernel killed a process of it, as memory had run out",
    "too slow": "it was not ready, or had not stopped, in time",
    "not started": "systemd could not start its program",
}

# How an execution of a task ended. The values of the label `outcome`, always all of them.
OUTCOMES = ("succeeded", "failed", "retried")

OTHER_TASKS = "(other)"  # the task of all executions beyond the number of tasks that a service is shown with

METRICS = (
    Metric("evenkeel_service_state", GAUGE, ("service", "kind", "state"), "1 for the state that the service is in."),
    Metric("evenkeel_service_ends_total", COUNTER, ("service", "reason"), "Runs that ended without being stopped."),
    Metric("evenkeel_service_restarts_total", COUNTER, ("service",), "Restarts by systemd after such an end."),
    Metric("evenkeel_service_oom_kills_total", COUNTER, ("service",), "Processes killed as memory had run out."),
    Metric(
        "evenkeel_service_memory_working_bytes",
        GAUGE,
        ("service",),
        "Memory in use, without files that the kernel drops by itself.",
    ),
    Metric("evenkeel_service_memory_peak_bytes", GAUGE, ("service",), "Most memory that this run has used."),
    Metric("evenkeel_service_memory_max_bytes", GAUGE, ("service",), "Memory limit: MemoryMax=."),
    Metric("evenkeel_service_memory_high_bytes", GAUGE, ("service",), "Memory above which it is slowed: MemoryHigh=."),
    Metric("evenkeel_service_swap_bytes", GAUGE, ("service",), "Memory of it that is swapped out."),
    Metric("evenkeel_worker_running_tasks", GAUGE, ("service",), "Tasks that are being executed."),
    Metric("evenkeel_worker_taken_tasks", GAUGE, ("service",), "Tasks taken from the broker, also running ones."),
    Metric(
        "evenkeel_worker_started_tasks_total",
        COUNTER,
        ("service",),
        "Tasks that the worker took on in this run, even if its log does not tell of them.",
    ),
    Metric(
        "evenkeel_tasks_total", COUNTER, ("service", "task", "outcome"), "Ended executions of a task, from the log."
    ),
    Metric("evenkeel_task_seconds_total", COUNTER, ("service", "task"), "Run time of the executions that succeeded."),
    Metric("evenkeel_task_last_success_timestamp_seconds", GAUGE, ("service", "task"), "When it last succeeded."),
    Metric(
        "evenkeel_worker_rate_limited_total", COUNTER, ("service",), "Lines of the log in which an API refuses a call."
    ),
    Metric(
        "evenkeel_worker_lost_tasks_total", COUNTER, ("service",), "Tasks whose process was killed while it ran them."
    ),
    Metric("evenkeel_beat_sent_tasks_total", COUNTER, ("service",), "Tasks that the beat sent in this run."),
    Metric("evenkeel_campaign", GAUGE, ("queue",), "Whether a campaign fills the queue: its flag file exists."),
    Metric(
        "evenkeel_journal_suppressed_total",
        COUNTER,
        (),
        "Lines of our services that journald left out, and times that the journal could not be read in time.",
    ),
    Metric("evenkeel_sample_timestamp_seconds", GAUGE, (), "When these metrics were taken."),
    *STUCK_JOBS,
)
