# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out whether a service could run, by starting it: its own command line, as its user, in its unit's sandbox.

Only our module, which the service loads last, is another one (probe_program.py): it connects to the broker once,
measures how much memory the service uses before its first task, answers, and ends it. What the application does
meanwhile is kept from root by systemd (_common/transient.py) and by the checks in answer.py.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, TypeVar

from .._celery import log_file
from .._celery.command import command, module, state_directory
from .._celery.options import Instance, node_name
from .._common import files, systemd, transient
from .._common.paths import program_directory
from .._common.quantities import format_size, parse_duration, parse_size
from .._doctor import programs as of_facts
from .._targets import systemd_unit, unit_text
from . import answer, directories, hidden, probe_program, start_program
from .answer import MARK, Answer

TIMEOUT = 5  # seconds for the broker to answer, for all databases, and for what the doctor asks
OLDEST = (5, 3)  # version of Celery that we test with
UNIT = "evenkeel-probe"
_DIRECTORY = "/run"  # where only root can make files, and none survives a reboot
_LEFT_AFTER = 86400  # seconds

# A limit below this is compared with what the application uses, which a probe that is killed could not tell.
LEAST_MEMORY = "512M"

# Read once, as threads that do it at the same time disturb each other.
_SOURCE = {program: inspect.getsource(program) for program in (start_program, probe_program)}

_Found = TypeVar("_Found")

# Exit codes with which systemd reports that it could not prepare a process, systemd.exec(5).
_NOT_PREPARED = range(200, 246)


_ASKED = (
    *("executable", "app", "directory", "user", "group", "environment", "settings", "sandbox", "writable_paths"),
    *("pool", "scheduler", "log_file", "check_databases"),
)


def question(instance: Instance) -> str:
    """A key for services that share a probe, as each takes some seconds: what is asked does not differ between them."""
    return json.dumps([instance.get(option) for option in ("kind", *_ASKED)], sort_keys=True)


def ask_each(instances: list[Instance], of_workers: bool = False) -> dict[str, Answer]:
    """What the probe found for each service, by its name. of_workers: whether it also asks all running workers."""
    return for_each(instances, question, partial(ask, of_workers=of_workers))


def for_each(
    instances: list[Instance], key: Callable[[Instance], str], work: Callable[[list[Instance]], _Found]
) -> dict[str, _Found]:
    """What `work` returns for each service, by its name. Those with the same key share it."""
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        groups.setdefault(key(instance), []).append(instance)
    _remove_leftovers()
    threads = ThreadPoolExecutor(os.cpu_count())
    with _interruptible(), directories.present(instances):
        try:
            with _uninterrupted():  # or a thread may have begun that `threads` does not know yet
                found = threads.map(work, groups.values())
            answers = list(found)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            end = threading.Thread(target=threads.shutdown)
            end.start()
            while end.is_alive():
                transient.kill(f"{units()}-*")
                end.join(1)  # a thread may have been about to start its unit
            raise
        threads.shutdown()
    return {instance["name"]: told for group, told in zip(groups.values(), answers) for instance in group}


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Meanwhile a signal that would end this process is an exception, so that its units and files are removed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    ending = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in ending:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, before[number])


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that would end this process wait meanwhile."""
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def units() -> str:
    """How the names of this run's units begin; another controller may be running the same."""
    return f"{UNIT}-{os.getpid()}"


def _remove_leftovers() -> None:
    """Removes what runs left that were killed; others may be running now."""
    for directory in Path(_DIRECTORY).glob(f"{UNIT}-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - directory.stat().st_mtime > _LEFT_AFTER:
                shutil.rmtree(directory)


def ask(group: list[Instance], of_workers: bool = False) -> Answer:
    """What the probe of these services, which have the same question, found."""
    # The broker is asked twice, the result backend and the databases once.
    of_facts = (2 if of_workers else 1) * TIMEOUT
    seconds = max(parse_duration(each["start_timeout"]) for each in group) + 4 * TIMEOUT + of_facts
    request = {
        "facts_timeout": of_facts,
        "ask_workers": of_workers,
        "nodes": [node_name(each) for each in group if each["kind"] == "worker"],
    }
    return _understood(start(group, command(group[0]), seconds, request), group[0])


def start(
    group: list[Instance], line: list[str], seconds: float, request: dict[str, Any] | None = None
) -> transient.Result:
    """Runs a command as these services would run. request: what else the probe is asked."""
    instance = group[0]
    with tempfile.TemporaryDirectory(prefix=f"{UNIT}-", dir=_DIRECTORY) as directory:
        programs = _write(instance, directory, line, request or {})
        return transient.run(
            units(),
            ["/usr/bin/python3", "-I", f"{programs}/{_file(start_program)}"],
            [*properties(instance, programs), f"EnvironmentFile={directory}/environment", *_memory(group)],
            seconds,
        )


def properties(instance: Instance, programs: str) -> list[str]:
    """The properties of the service's unit that matter for the probe, as systemd-run takes them.

    programs: the directory that stands in for that of the service's programs.
    """
    # With a dash before it, a path that does not exist does not keep systemd from starting the probe, which reports it.
    tolerant = {
        **instance,
        "directory": f"-{instance['directory']}",
        "writable_paths": [f"-{path}" for path in log_file.writable_paths(instance)],
        "log_file": None,
    }
    wanted = [
        (name, value)
        for name, value in systemd_unit.sections(tolerant)["Service"]
        if not transient.SUPERVISION.fullmatch(name)
    ]
    # Unlike in a unit file, systemd does not expand specifiers here.
    lines = [line.rstrip("\n").replace("%%", "%") for line in unit_text.lines(wanted)]
    # A check writes nothing.
    own = ["Environment=PYTHONDONTWRITEBYTECODE=1", "LimitCORE=0", *directories.properties(instance)]
    return [line.replace(program_directory(instance["name"]), programs) for line in lines] + own


def _memory(group: list[Instance]) -> list[str]:
    limits = [each["memory_max"] for each in group]
    if None in limits:
        return []
    return [f"MemoryMax={max(map(parse_size, [*limits, LEAST_MEMORY]))}"]


def _write(instance: Instance, directory: str, line: list[str], asked: dict[str, Any]) -> str:
    """Writes the environment, which only root can read, and the programs, whose directory is returned."""
    Path(directory).chmod(0o711)
    programs = f"{directory}/programs"
    request = {
        **asked,
        "command": line,
        "mark": MARK,
        "timeout": TIMEOUT,
        "settings": sorted(set(instance["settings"]) - {"include"}),
        "schedule": f"/var/lib/{state_directory(instance)}/schedule",
        "paths": answer.paths(instance),
        **{option: instance.get(option) for option in ("directory", "pool", "check_databases")},
    }
    texts = {
        f"{programs}/{_file(start_program)}": (_SOURCE[start_program], 0o644),
        f"{programs}/{module(instance)}.py": (_SOURCE[probe_program], 0o644),
        **{f"{programs}/{name}.py": (source, 0o644) for name, source in of_facts.SOURCES.items()},
        f"{programs}/request.json": (json.dumps(request), 0o644),
        f"{directory}/environment": (
            systemd_unit.environment(instance).replace(program_directory(instance["name"]), programs),
            0o600,
        ),
    }
    for path, (text, mode) in texts.items():
        files.write(path, files.File(text.encode(), mode))
    return programs


def _file(program: ModuleType) -> str:
    return f"{program.__name__.rpartition('.')[2]}.py"


def _understood(result: transient.Result, instance: Instance) -> Answer:
    try:
        found = answer.read(result.output, instance)
    except answer.AnswerError:
        return {"forged": True}
    if not {"directory", "executable", "failed", "child"} & set(found):
        found[_ending(result, instance)] = answer.shown(why_ended(result), instance)
    return found


def _ending(result: transient.Result, instance: Instance) -> str:
    """What became of a service that failed before it could answer."""
    why = reason(result.error)
    endings = {
        "timeout": result.outcome == "timeout",
        "output": result.outcome == "output",
        "not_started": not result.outcome,
        "not_prepared": result.status in _NOT_PREPARED,
        "killed": result.outcome in ("signal", "core-dump", "oom-kill"),
        "silent": result.status == 0,
        "no_pool": why == f"ModuleNotFoundError: No module named '{instance.get('pool')}'",
        "no_celery": why.startswith("ModuleNotFoundError: No module named 'celery"),
        "isolated": why == f"ModuleNotFoundError: No module named '{module(instance)}'",
    }
    return next((name for name, applies in endings.items() if applies), "not_loaded")


def why_ended(result: transient.Result) -> str:
    """Why a process did not answer."""
    if result.outcome == "exit-code" and result.status in _NOT_PREPARED:
        return systemd.why_not_prepared(result.unit)
    if result.outcome in ("signal", "core-dump", "oom-kill"):
        return f"{result.outcome} {result.signal}".strip()
    return reason(result.error) or f"it ended with exit code {result.status}"


def reason(error: str) -> str:
    """The line that says why Python ended: the exception after the last traceback, or the last line."""
    _before, traceback, text = error.rpartition("Traceback (most recent call last):\n")
    lines = [line for line in text.splitlines() if line.strip()]
    if traceback:
        lines = [line for line in lines if not line[0].isspace()][:1] or lines
    return lines[-1].strip() if lines else ""


# What each entry of the probe's answer means for the user. In braces: options of the instance, and `why`, the entry.
_ERRORS = {
    "directory": (
        "directory {directory!r} can't be used by user {user}: {why}. Install the application there, give that user"
        " read and execute permission, or correct the path."
    ),
    "executable": (
        "executable {executable!r} can't be run by user {user}: {why}. Install Celery, let that user read and execute"
        " it, or correct the path."
    ),
    "timeout": (
        "app {app!r} was not imported and checked within start_timeout {start_timeout}. Move slow work out of the"
        " import into the tasks, or raise start_timeout."
    ),
    "output": (
        f"app {{app!r}} writes more than {format_size(transient.MOST)} when it is imported. Find out what it prints."
    ),
    "forged": (
        f"app {{app!r}}: something writes lines that begin with {MARK!r} and are no answers of the check. Find out what"
        " the application does when it is imported."
    ),
    "not_prepared": (
        "systemd can't start a process with this service's user, paths and sandbox: {why}. Correct the option that it"
        " names."
    ),
    "killed": (
        "app {app!r} was killed when it was imported ({why}). If by SYS, the sandbox forbids a system call that it"
        " makes; else it may need more memory: raise memory_max, or import less."
    ),
    "failed": "app {app!r} was imported, but its check failed: {why}. Check app and executable.",
    "not_loaded": (
        "app {app!r} can't be loaded in {directory} as user {user}: {why}. Check app, directory and environment, and"
        " writable_paths if it writes files."
    ),
    "no_celery": ("executable {executable!r} has no working Celery: {why}. Install Celery there, or correct the path."),
    "no_pool": ("pool {pool} can't be used: {why}. Install it in Celery's virtual environment, or set another pool."),
    "child": (
        "executable {executable!r} runs Celery in a child process, but systemd listens to the process that it starts"
        " itself. If it is a shell script, write exec before the command that runs Celery. Instead of uv run or hatch"
        " run, which wait for their child, name the celery command in the environment, such as .venv/bin/celery."
    ),
    "isolated": (
        "executable {executable!r} does not look for modules in PYTHONPATH, where our own is. If it is a PEX, set"
        " environment: {{PEX_INHERIT_PATH: fallback}}. Else remove -I or -E from its first line, and let scripts keep"
        " the value: PYTHONPATH=src:$PYTHONPATH."
    ),
}


def errors(instance: Instance, found: Answer) -> Iterator[str]:
    """What would keep this service from running, each in a sentence."""
    for name, sentence in _ERRORS.items():
        if found.get(name):
            yield sentence.format(why=str(found[name]).rstrip("."), **instance)
    for option in ("directory", "executable"):
        if option in found:
            yield from hidden.explanation(option, instance[option], instance)
    if found.get("transport"):
        # The errors of some transports don't name the missing library. kombu's extras have the transports' names.
        yield (
            f"the broker URL needs a library that is not installed with Celery ({found['broker']})."
            f" Install kombu[{found['transport']}] in the virtual environment of {instance['executable']!r}."
        )
    elif "broker" in found:
        why = found["broker"].rstrip(".")
        yield f"the broker {found.get('uri', '')} does not answer: {why}. Start it, or correct its URL."
        path = "/" + found.get("uri", "").partition("://")[2].partition("/")[2]
        yield from hidden.explanation("the broker's socket", path, instance)
    for setting, nearest in found.get("unknown_settings", {}).items():
        advice = f"Did you mean {nearest!r}?" if nearest else "Use its lower-case name, such as task_acks_late."
        yield f"settings: Celery has no setting {setting!r}. {advice}"


def warnings(instance: Instance, found: Answer) -> Iterator[str]:
    """What may do harm, although the application can run."""
    if "not_started" in found or "silent" in found:
        why = found.get("not_started", "it ended without an answer, as if its output went elsewhere")
        yield (
            f"executable {instance['executable']!r}: the application, the broker and the memory limits could not be"
            f" checked: {why}."
        )
    if tuple(found.get("version", OLDEST)) < OLDEST:
        version, oldest = (".".join(map(str, each)) for each in (found["version"], OLDEST))
        yield (
            f"executable {instance['executable']!r} is of Celery {version}, which evenkeel.celery is not tested with."
            f" Install Celery {oldest} or later."
        )
    if "results" in found:
        yield (
            f"the result backend {found.get('results_uri', '')} does not answer: {found['results'].rstrip('.')}. Start"
            " it, or correct its URL. Until then, results are lost, and whoever waits for one waits in vain."
        )
