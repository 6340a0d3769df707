"""Hostile values: whichever option has one, it is refused, or it is one value of one directive and nothing else."""

from __future__ import annotations

import importlib
import json
import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import KINDS as OPTIONS
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import MEMORY, for_modules
from ansible_collections.evenkeel.celery.plugins.module_utils._common import environment_files
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import Option, hidden_characters
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import unit_path
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.report import show_file
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.options import CRON_OPTIONS, SCRIPT_OPTIONS
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import DATABASES
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.options import SWAP
from ansible_collections.evenkeel.celery.plugins.module_utils._targets import systemd_unit
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.kinds import KINDS
from hypothesis import given
from hypothesis import strategies as st
from module_args import patch_module_args
from workers import PROGRAMS, beat, worker

TABLES = (for_modules(), *MEMORY, *PROJECT, DATABASES, *SCRIPT_OPTIONS, *CRON_OPTIONS, *SWAP)
# They end a line for systemd, cron or Python, or a terminal acts on them.
CONTROLS = "\0\r\x1b\x07\x7f\x85\x9b\ufffe\ufdd0\ud800"
HOSTILE = CONTROLS + "\n\x0b\x0c\t\u2028\u2029\u202e\ufeff"


def places(options, where=()):
    """Each option of a table with those that it is within."""
    for option in options:
        yield (*where, option)
        yield from places(option.options, (*where, option))


def place(path, value):
    """The value as that of the innermost of these options."""
    for option in reversed(path):
        value = {option.name: [value] if option.type == "list" else value}
    return value


PLACES = [path for path in places(TABLES) if not path[-1].options]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(option.name for option in path))
@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: {"key": [text]}, lambda text: {text: 1}])
def test_a_hidden_character_in_any_option_is_refused(path, wrap):
    for character in CONTROLS if path[-1].free_text else HOSTILE:
        (error,) = hidden_characters(path[:1], place(path, wrap(f"x{character}User=root")))
        assert path[-1].name in error
        assert f"contains the character U+{ord(character):04X}. Remove it." in error
        assert error.isprintable()
        error.encode()


def test_a_free_text_may_have_several_lines_and_invisible_characters():
    options = (Option("message", "str", "", free_text=True),)
    assert not list(hidden_characters(options, {"message": "one\n\ttwo\n\u200d\u202e"}))


def test_a_secret_is_not_repeated():
    options = (Option("environment", "dict", "", no_log=True),)
    (error,) = hidden_characters(options, {"environment": {"KEY": "secret\0"}})
    assert error == "environment: KEY: a text contains the character U+0000. Remove it."
    assert "secret" not in "".join(hidden_characters(options, {"environment": {"KEY=secret\0": "\0"}}))


def test_no_line_of_a_secret_is_taken_for_a_variable_and_shown():
    text = systemd_unit.environment(worker(environment={"KEY": "-----BEGIN KEY-----\nMIIEvQ==\nPIN=1234\n", "B": 1}))
    assert show_file("/etc/evenkeel/w.env", File(text.encode())).endswith(": B, KEY\n")


INSTANCE = {"name": "w", "app": "shop\nUser=root", "directory": "/srv/shop"}
DATABASE = {"name": "jobs", "path": "/srv/jobs.db", "table": "jobs\x1b[2J"}


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("celery_services", {"instances": [INSTANCE], "programs": {}}),
        ("celery_services", {"instances": [{"name": "../x\n"}], "state": "previous"}),
        ("celery_preflight", {"instances": [INSTANCE]}),
        ("sqlite_stuck_jobs", {"databases": [DATABASE]}),
        ("job_cleanup_preflight", {"databases": [DATABASE]}),
        ("job_cleanup_preflight", {"databases": [], "once": [DATABASE]}),
        ("job_cleanup_preflight", {"databases": [], "cron_schedule": {"minute": "5\n* * * * * root true"}}),
        ("job_cleanup_script", {"databases": [DATABASE], "script": ""}),
        ("job_cleanup_script", {"script": "", "cron_user": "root\n"}),
        ("swapfile", {"path": "/swap\x1b[2J"}),
    ],
)
def test_each_module_refuses_it(name, args, capsys):
    module = importlib.import_module(f"ansible_collections.evenkeel.celery.plugins.modules.{name}")
    with patch_module_args(args), pytest.raises(SystemExit):
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert result["failed"]
    assert "Remove it." in result["msg"] or "is not a valid unit name" in result["msg"]
    assert result["msg"].replace("\n", "").isprintable()


TEXT = st.text(st.sampled_from("ab /\\\"'%$#;=[]+- \n\r\0\t\x0b\x85\u2028ä"), max_size=12)
STARTS = {"directory": "/", "executable": "/", "writable_paths": "/", "log_file": "/"}


@st.composite
def services(draw):
    """A service of which an option has a value that may be anything of its type."""
    kind = draw(st.sampled_from(sorted(OPTIONS)))
    option = draw(st.sampled_from([each for each in OPTIONS[kind] if each.name not in ("environment", "name")]))
    text = TEXT.map(lambda text: STARTS.get(option.name, "") + text)
    if option.name == "after":
        text = TEXT.map(lambda text: f"{text}.service")
    values = {
        "str": text,
        "bool": st.booleans(),
        "raw": st.booleans() | text | TEXT,
        "int": st.integers(),
        "list": st.lists(st.integers() if option.elements == "int" else text, min_size=1),
        "dict": st.dictionaries(st.sampled_from(["UMask", "task_x"]) | TEXT, text | st.booleans() | st.lists(text)),
    }
    value = draw(st.sampled_from(option.choices) if option.choices else values[option.ansible_type])
    return {"worker": worker, "beat": beat}[kind](**{option.name: value})


def read(unit):
    """A unit's directives as systemd reads them: lines end at CR and NUL too; a backslash at the end continues one."""
    joined = re.sub(r"\\[\n\r\0]", " ", unit)
    section, found = "", []
    for line in (line.strip(" \t\n\r") for line in re.split("[\n\r\0]", joined)):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            name, value = line.split("=", 1)
            found.append((section, name.strip(), value.strip()))
    return found


def written(value):
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


@given(services())
def test_a_unit_has_the_directives_that_were_meant_and_no_others(instance):
    if list(errors([instance])):
        return
    meant = [
        (section, name, written(each))
        for section, settings in systemd_unit.sections(instance).items()
        for name, value in settings
        for each in (value if name == "SystemCallFilter" and "~@privileged @resources" in value else [value])
        if value not in (None, "") or name == "CapabilityBoundingSet"
    ]
    assert read(systemd_unit.unit(instance)) == meant


@given(services())
def test_the_other_units_of_a_service_have_the_same_directives_as_ever(instance):
    if list(errors([instance])):
        return
    kind = KINDS[instance["kind"]]
    files = kind.files(instance, PROGRAMS)
    for path, usual in kind.files({"worker": worker, "beat": beat}[kind.name](), PROGRAMS).items():
        if path.endswith(".service") and path != unit_path(instance["name"]):
            names = [name for *name, _value in read(files[path].content.decode())]
            assert names == [name for *name, _value in read(usual.content.decode())]


# In double quotes, a backslash escapes these four, and everything else is itself: systemd's src/basic/env-file.c.
VARIABLE = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\["\\`$])*)"\n', re.ASCII)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name != "PYTHONPATH")


@given(st.dictionaries(NAMES | TEXT, st.text() | TEXT | st.integers()))
def test_an_environment_file_has_the_variables_that_were_meant_and_no_others(variables):
    instance = worker(environment=variables)
    if not list(errors([instance])):
        comment, _end, text = systemd_unit.environment(instance).partition("\n")
        assert comment.startswith("#")
        assert not VARIABLE.sub("", text)
        found = {name: re.sub(r"\\(.)", r"\1", value) for name, value in VARIABLE.findall(text)}
        assert found == {name: str(value) for name, value in variables.items()}
        assert environment_files.variables(f"{comment}\n{text}") == found
