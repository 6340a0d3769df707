"""What the start program says of a worker's paths before it becomes the worker's command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import start_program

MARK = "mark:"


@pytest.fixture
def start(tmp_path):
    """Runs the program with a request; returns what it says, and the last line of its output."""

    def run(**request):
        (tmp_path / "start.py").write_bytes(Path(start_program.__file__).read_bytes())
        wish = {
            "mark": MARK,
            "directory": str(tmp_path),
            "paths": [],
            "is_strict": False,
            "command": ["/bin/echo", "run"],
            **request,
        }
        (tmp_path / "request.json").write_text(json.dumps(wish))
        output = subprocess.check_output([sys.executable, "-I", tmp_path / "start.py"], text=True).splitlines()
        said = {}
        for line in output:
            if line.startswith(MARK):
                said.update(json.loads(line[len(MARK) :]))
        return said, output[-1]

    return run


def test_it_becomes_the_command(start):
    said, last = start()
    assert said == {"absent": [], "closed": {}, "roots": [0, []]}
    assert last == "run"


def test_it_says_why_directory_or_executable_can_not_be_used(start, tmp_path):
    assert start(directory=str(tmp_path / "nowhere"))[0]["directory"] == "No such file or directory"
    assert start(command=["/nowhere/celery"])[0]["executable"] == "No such file or directory"


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        ("#!/old/venv/bin/python\n", "", "its first line names '/old/venv/bin/python', which is not there, as if"),
        ("#! /bin/sh\r\nexec true\r\n", "", "its lines end as on Windows."),
        ("exec celery\n", "", "it is neither a program nor a script, whose first line would be one such as #!/bin/sh"),
        ("#!/bin/sh\n", " run celery", "it is not a path alone. Write a script with the lines: #!/bin/sh and: exec "),
    ],
)
def test_it_says_what_the_kernel_does_not(start, tmp_path, text, arguments, why):
    (tmp_path / "celery").write_bytes(text.encode())
    (tmp_path / "celery").chmod(0o755)
    assert start(command=[f"{tmp_path}/celery{arguments}"])[0]["executable"].startswith(why)


def test_paths_that_do_not_exist(start, tmp_path):
    assert start(paths=[str(tmp_path), "/nowhere/data"])[0]["absent"] == ["/nowhere/data"]


def test_paths_that_can_not_be_written(start, tmp_path, monkeypatch):
    monkeypatch.setattr(start_program.os, "access", lambda path, _mode: str(path) not in ("/shut", str(tmp_path)))
    found = start_program.look([str(tmp_path), str(tmp_path / "below")])
    assert found["closed"][str(tmp_path)][0] == str(tmp_path)
    assert found["closed"][str(tmp_path / "below")][0] == str(tmp_path)


def test_files_of_root_are_counted_and_the_first_are_named(tmp_path, monkeypatch):
    for name in "abcde":
        (tmp_path / name).touch()
    real = start_program.os.access
    monkeypatch.setattr(start_program.os, "access", lambda path, mode: real(path, mode) and str(path) == str(tmp_path))
    monkeypatch.setattr(start_program, "is_shut", lambda _: False)
    found = start_program.look([str(tmp_path)])["roots"]
    owned = (tmp_path / "a").stat().st_uid == 0
    assert found == ([5, [str(tmp_path / name) for name in "abc"]] if owned else [0, []])
