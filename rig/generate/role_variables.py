"""The variables of the roles. Everything else about them is generated from here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import markup
from for_people import code, table
from module_utils._celery.options import BEAT, BEAT_SANDBOX, MEMORY, PROFILE, SANDBOX, WORKER
from module_utils._common.options import Option
from module_utils._common.project import PROJECT
from module_utils._doctor.options import DOCTOR
from module_utils._doctor.options import SUMMARY as DOCTOR_SUMMARY
from module_utils._export.options import CONTAINER
from module_utils._export.options import EXPORT as EXPORT_OPTIONS
from module_utils._job_cleanup.options import CRON_OPTIONS, SCRIPT_OPTIONS
from module_utils._monitoring.options import ALERTS, MONITORING, QUEUES, TASKS
from module_utils._monitoring.summary_options import SUMMARY
from module_utils._stuck_jobs.option_table import DATABASE
from module_utils._swap.options import SWAP


@dataclass(frozen=True)
class Role:
    """A role with the options of each of its entry points, which are the same."""

    name: str
    source: str  # where the options are written
    options: tuple[Option, ...]
    entry_points: dict[str, dict[str, str]]
    readme: dict[str, str]  # blocks of the README


def common(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """The options that several entries can have in common, all optional and without defaults."""
    return _optional(tuple(option for option in options if not option.required))


def _optional(options: tuple[Option, ...]) -> tuple[Option, ...]:
    return tuple(
        replace(
            option,
            required=False,
            default=None,
            options=_optional(option.options) if option.type == "dict" else option.options,
        )
        for option in options
    )


def prefixed(prefix: str, options: tuple[Option, ...]) -> tuple[Option, ...]:
    """A module's options as variables of a role."""
    names = [option.name for option in options]
    return tuple(
        replace(
            option,
            name=prefix + option.name,
            description=tuple(markup.with_prefix(text, names, prefix) for text in option.sentences),
        )
        for option in options
    )


# The same for all roles.
PROJECT_VARIABLES = prefixed("evenkeel_", PROJECT)
DOCTOR_VARIABLES = prefixed("celery_doctor_", DOCTOR)


def services(kind: str, options: tuple[Option, ...]) -> tuple[Option, ...]:
    """What the roles of all kinds of services have in common."""
    role = f"celery_{kind}_"
    return (
        Option(
            f"{role}state",
            "str",
            f"V(present) runs the {kind}s of O({role}instances) and removes the others of this project. V(absent)"
            " removes all of this project.",
            "present",
            choices=("present", "absent"),
        ),
        Option(
            f"{role}instances",
            "list",
            f"The {kind}s, a systemd unit for each. Options that are not set are taken from O({role}defaults).",
            (),
            elements="dict",
            options=options,
        ),
        Option(
            f"{role}defaults",
            "dict",
            f"What the {kind}s have in common: any option of O({role}instances) but the name.",
            {},
            options=common(options),
        ),
        Option(
            f"{role}restore_original",
            "bool",
            f"Whether the original unit, if there was one, runs again when a {kind} is removed.",
            False,
        ),
        Option(
            f"{role}rollback_to",
            "str",
            "What C(tasks_from: rollback) restores: V(previous), the generation before the current one, or"
            " V(original), the original unit.",
            "previous",
            choices=("previous", "original"),
        ),
        Option(
            f"{role}restart_only",
            "list",
            f"The names of the {kind}s that C(tasks_from: restart) and the handler restart. Empty for all.",
            (),
            elements="str",
        ),
    )


CELERY_WORKER = (
    *services("worker", WORKER),
    Option(
        "celery_worker_profile",
        "dict",
        "The O(celery_worker_instances[].profile) of all workers, which O(celery_worker_defaults) and a worker can"
        " override in parts. What a worker's options follow from, if they are not set: what a task needs, and how large"
        " the machine is.",
        {},
        options=common(PROFILE),
    ),
    *prefixed("celery_worker_", MEMORY),
    *DOCTOR_VARIABLES,
    *PROJECT_VARIABLES,
)
CELERY_BEAT = (
    *services("beat", BEAT),
    Option(
        "celery_beat_host",
        "str",
        (
            "The host of the group C(celery_workers) that runs the beats. They are removed from all others.",
            "Empty lets each host run those of its own O(celery_beat_instances).",
        ),
        "{{ groups['celery_workers'] | default([inventory_hostname]) | first }}",
    ),
    *DOCTOR_VARIABLES,
    *PROJECT_VARIABLES,
)
SWAP_VARIABLES = tuple(
    replace(option, default=10) if option.name == "swap_swappiness" else option for option in prefixed("swap_", SWAP)
)
OF_ONE_RUN = ("jobs", "respect_age")  # only for a single clean-up
CONFIGURED = tuple(option for option in DATABASE if option.name not in OF_ONE_RUN)
JOB_CLEANUP = (
    *prefixed("job_cleanup_", SCRIPT_OPTIONS[:1]),
    Option(
        "job_cleanup_databases",
        "list",
        "The databases: of SQLite with V(path), of PostgreSQL with V(login_db), V(service) or V(environment_file). A"
        " database with two kinds of jobs needs two entries. Options that are not set are taken from"
        " O(job_cleanup_defaults).",
        (),
        elements="dict",
        options=CONFIGURED,
    ),
    Option(
        "job_cleanup_defaults",
        "dict",
        (
            "What the databases have in common: any option of O(job_cleanup_databases) but name, path and table.",
            "Options that say where a database of PostgreSQL is, such as V(system_user), only if all of them are of"
            " PostgreSQL.",
        ),
        {},
        options=common(tuple(option for option in CONFIGURED if option.name != "path")),
    ),
    Option(
        "job_cleanup_once",
        "list",
        (
            "Clean-ups that this play runs once, before it sets up the schedule. Each has the name of a database, and"
            " the options that differ this time: V(action), V(threshold), V(jobs), V(respect_age).",
            "Without V(jobs), all stuck jobs are cleaned up.",
        ),
        (),
        elements="dict",
        options=(
            Option("name", "str", "The name of one of the databases.", required=True),
            *common(tuple(option for option in DATABASE if option.name in ("action", "threshold", *OF_ONE_RUN))),
        ),
    ),
    *prefixed("job_cleanup_", (*CRON_OPTIONS, *SCRIPT_OPTIONS[1:])),
    *PROJECT_VARIABLES,
)
MONITORING_VARIABLES = (*prefixed("monitoring_", MONITORING), *PROJECT_VARIABLES)
# Of the playbook report, which has no role.
REPORT_VARIABLES = prefixed("celery_report_", SUMMARY)
# Of the playbook doctor, whose roles have the first one, too.
DOCTOR_PLAYBOOK = (*DOCTOR_VARIABLES, *prefixed("celery_doctor_", DOCTOR_SUMMARY))
ROLES = (
    Role(
        name="celery_worker",
        source="plugins/module_utils/_celery/options.py and rig/generate/role_variables.py",
        options=CELERY_WORKER,
        entry_points={
            "main": {
                "short_description": "Run Celery workers as systemd services",
                "description": "Runs the workers of O(celery_worker_instances), each with a systemd unit of its own.",
            },
            "preflight": {
                "short_description": "Check whether the workers can run",
                "description": "Lists everything that would keep the workers of O(celery_worker_instances) from"
                " running, and changes nothing.",
            },
            "doctor": {
                "short_description": "Look for traps in how the workers are set up",
                "description": "Applies the rules of docs/doctor.md, and changes nothing. For the playbook doctor.",
            },
            "rollback": {
                "short_description": "Roll back the workers",
                "description": "Restores the previous generation of each worker or, with"
                " O(celery_worker_rollback_to=original), the original unit.",
            },
            "restart": {
                "short_description": "Restart the workers",
                "description": "Restarts the workers of O(celery_worker_instances) one after another, each once its"
                " active tasks are done.",
            },
        },
        readme={
            "variables": table(CELERY_WORKER, nested=False),
            "options": table(WORKER),
            "sandbox": code({"sandbox": SANDBOX}),
        },
    ),
    Role(
        name="celery_beat",
        source="plugins/module_utils/_celery/options.py and rig/generate/role_variables.py",
        options=CELERY_BEAT,
        entry_points={
            "main": {
                "short_description": "Run Celery beat as a systemd service on one host",
                "description": "Runs the beats of O(celery_beat_instances) on O(celery_beat_host), each with a systemd"
                " unit of its own.",
            },
            "preflight": {
                "short_description": "Check whether the beats can run",
                "description": "Lists everything that would keep the beats of O(celery_beat_instances) from running,"
                " shows what they will send, and changes nothing.",
            },
            "doctor": {
                "short_description": "Look for traps in how the beats are set up",
                "description": "Applies the rules of docs/doctor.md, and changes nothing. For the playbook doctor.",
            },
            "remove_elsewhere": {
                "short_description": "Remove the beats from other hosts",
                "description": "Removes the beats from all hosts but O(celery_beat_host), before they start there.",
            },
            "run": {
                "short_description": "Run the beats, without the checks",
                "description": "Runs the beats of O(celery_beat_instances) on O(celery_beat_host).",
            },
            "rollback": {
                "short_description": "Roll back the beats",
                "description": "Restores the previous generation of each beat or, with"
                " O(celery_beat_rollback_to=original), the original unit.",
            },
            "restart": {
                "short_description": "Restart the beats",
                "description": "Restarts the beats of O(celery_beat_instances) on O(celery_beat_host).",
            },
        },
        readme={
            "variables": table(CELERY_BEAT, nested=False),
            "options": table(BEAT),
            "sandbox": code({"sandbox": BEAT_SANDBOX}),
        },
    ),
    Role(
        name="job_cleanup",
        source="plugins/module_utils/_stuck_jobs/option_table.py and rig/generate/role_variables.py",
        options=JOB_CLEANUP,
        entry_points={
            "main": {
                "short_description": "Clean up the jobs that a crash left stuck in SQLite or PostgreSQL",
                "description": "Installs C(cleanup_stuck_jobs.py) with its configuration and, if asked, its schedule."
                " Can also clean up once, within the play.",
            },
            "preflight": {
                "short_description": "Check the configuration of the clean-up against the databases",
                "description": "Lists everything that would keep the clean-up from working, and changes nothing.",
            },
        },
        readme={"variables": table(JOB_CLEANUP, nested=False), "options": table(CONFIGURED)},
    ),
    Role(
        name="monitoring",
        source="plugins/module_utils/_monitoring/options.py and rig/generate/role_variables.py",
        options=MONITORING_VARIABLES,
        entry_points={
            "main": {
                "short_description": "Measure Celery services for Prometheus",
                "description": "Measures the services of the roles P(evenkeel.celery.celery_worker#role) and"
                " P(evenkeel.celery.celery_beat#role), and writes alert rules.",
            },
            "preflight": {
                "short_description": "Check whether the services can be measured",
                "description": "Lists everything that would keep the role from working, and changes nothing.",
            },
            "run": {
                "short_description": "Measure the services, without the checks",
                "description": "Installs the exporters and the sampler, and writes the alert rules.",
            },
        },
        readme={
            "variables": table(MONITORING_VARIABLES, nested=False),
            "queues": table(QUEUES),
            "tasks": table(TASKS),
            "alerts": table(ALERTS),
        },
    ),
    Role(
        name="swap",
        source="plugins/module_utils/_swap/options.py and rig/generate/role_variables.py",
        options=SWAP_VARIABLES,
        entry_points={
            "main": {
                "short_description": "Set up a swap file",
                "description": "Creates or resizes a swap file, activates it now and at boot, and sets how readily the"
                " kernel swaps.",
            },
            "preflight": {
                "short_description": "Check whether the host can have this swap file",
                "description": "Fails if the real run would fail, and changes nothing.",
            },
        },
        readme={"variables": table(SWAP_VARIABLES)},
    ),
)

# Of the playbook export, which has no role: what is not as in the module's options.
IN_EXPORT: dict[str, dict[str, Any]] = {
    "celery_export_directory": {"required": False, "default": "$PWD/export/TARGET"},
    "celery_export_project": {"default": "{{ evenkeel_project | default('celery') }}"},
    "celery_export_defaults": {"options": ()},
}
EXPORT_DOCUMENT = {
    "variables": table(
        replace(option, **IN_EXPORT.get(option.name, {})) for option in prefixed("celery_export_", EXPORT_OPTIONS)
    ),
    "services": table(CONTAINER),
}
