"""Which packages of module_utils may import which: dependencies run downwards only."""

import ast

import pytest
from project import PROJECT

ROOMS = PROJECT / "plugins" / "module_utils"
USES = {
    "_common": set(),
    "_celery": {"_common"},
    "_targets": {"_celery", "_common"},
    "_deploy": {"_common"},
    "_export": {"_targets", "_celery", "_common"},
    "_doctor": {"_stuck_jobs", "_celery", "_common"},
    "_preflight": {"_doctor", "_targets", "_celery", "_common"},
    "_stuck_jobs": {"_common"},
    "_swap": {"_common"},
    "_monitoring": {"_common"},
    "_monitoring_setup": {"_monitoring", "_celery", "_common"},
    "_job_cleanup": {"_stuck_jobs", "_common"},
}


def used_by(file):
    """The packages that a file imports from, relatively or by the collection's name."""
    here = file.relative_to(ROOMS).parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            names = [".".join([*base, *filter(None, [node.module]), name.name]) for name in node.names]
        else:
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        yield from (part for name in names for part in name.split(".") if part in USES)


@pytest.mark.parametrize("room", sorted(path.name for path in ROOMS.iterdir() if path.name.startswith("_")))
def test_a_package_imports_only_from_those_below_it(room):
    used = {name for file in (ROOMS / room).rglob("*.py") for name in used_by(file)}
    assert used - {room} <= USES[room]


def test_only_its_engine_imports_sqlite3():
    engines = ROOMS / "_stuck_jobs" / "engines"
    knowing = {file for file in ROOMS.rglob("*.py") if "import sqlite3" in file.read_text()}
    assert {file.relative_to(engines).parts[0] for file in knowing} == {"sqlite"}
