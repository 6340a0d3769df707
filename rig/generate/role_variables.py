"""The variables of the roles: each is written here, and nowhere else by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import markup
from for_people import code, table
from module_utils._celery.options import MEMORY, SANDBOX, WORKER
from module_utils._common.options import Option
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
    """The options that several services can have in common; what is not said there is left to each."""
    return tuple(replace(option, default=None) for option in options if not option.required)


def prefixed(prefix: str, options: tuple[Option, ...]) -> tuple[Option, ...]:
    """A module's options as variables of a role."""
    names = [option.name for option in options]
    return tuple(
        replace(
            option,
            name=prefix + option.name,
            description=tuple(markup.with_prefix(text, names, prefix) for text in markup.sentences(option)),
        )
        for option in options
    )


CELERY_WORKER = (
    Option(
        "celery_worker_state",
        "str",
        "V(present) runs the workers of O(celery_worker_instances) and removes the others that this role deployed."
        " V(absent) removes all that it deployed.",
        "present",
        choices=("present", "absent"),
    ),
    Option(
        "celery_worker_instances",
        "list",
        "The workers, a systemd unit for each. Options that are not set are taken from O(celery_worker_defaults).",
        (),
        elements="dict",
        options=WORKER,
    ),
    Option(
        "celery_worker_defaults",
        "dict",
        "What the workers have in common: any option of O(celery_worker_instances) but the name.",
        {},
        options=common(WORKER),
    ),
    Option(
        "celery_worker_restore_original",
        "bool",
        "Whether the original unit, if there was one, runs again where a worker is removed.",
        False,
    ),
    Option(
        "celery_worker_rollback_to",
        "str",
        "What C(tasks_from: rollback) brings back: V(previous), the generation before the current one, or V(original),"
        " the original unit.",
        "previous",
        choices=("previous", "original"),
    ),
    *prefixed("celery_worker_", MEMORY),
)
SWAP_VARIABLES = tuple(
    replace(option, default=10) if option.name == "swap_swappiness" else option for option in prefixed("swap_", SWAP)
)
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
                "description": "Lists all that would keep the workers of O(celery_worker_instances) from running, and"
                " changes nothing.",
            },
            "rollback": {
                "short_description": "Bring back what ran before",
                "description": "Brings back the previous generation of each worker or, with"
                " O(celery_worker_rollback_to=original), the original unit.",
            },
        },
        readme={
            "variables": table(CELERY_WORKER, nested=False),
            "options": table(WORKER),
            "sandbox": code({"sandbox": SANDBOX}),
        },
    ),
    Role(
        name="swap",
        source="plugins/module_utils/_swap/options.py and rig/generate/role_variables.py",
        options=SWAP_VARIABLES,
        entry_points={
            "main": {
                "short_description": "Have a swap file",
                "description": "Makes or resizes a swap file, uses it now and at boot, and sets how readily the kernel"
                " swaps.",
            },
            "preflight": {
                "short_description": "Check that the host can have this swap file",
                "description": "Fails where the real run would fail, and changes nothing.",
            },
        },
        readme={"variables": table(SWAP_VARIABLES)},
    ),
)
