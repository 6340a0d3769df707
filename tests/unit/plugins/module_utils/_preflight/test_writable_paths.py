"""Errors and warnings about paths that a worker's user can't write."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import writable_paths
from workers import worker


@pytest.fixture
def look(monkeypatch):
    """Sets what the user's own look at the paths finds."""

    def finds(closed=(), roots=()):
        monkeypatch.setattr(writable_paths, "_look", lambda _: {"closed": dict(closed), "roots": list(roots)})

    return finds


def test_an_error_names_the_path_or_the_parent_that_denies_access(look, tmp_path):
    tmp_path.chmod(0o750)
    path, below = str(tmp_path), f"{tmp_path}/my data"
    look(closed={path: path, below: path})
    itself, above = writable_paths.errors(worker(user="shop"))
    assert itself.startswith(f"writable_paths '{path}' can't be written by user shop: {path} is ")
    assert f"mode 0750. Give that user permission (chown shop {path}, or setfacl), or leave the path out." in itself
    assert f"'{below}' can't" in above
    assert f"(chmod o+x {path}, or setfacl)" in above


@pytest.mark.parametrize(
    ("roots", "command"),
    [
        (["/d/a b"], "chown shop '/d/a b'"),
        (["/d/1", "/d/2", "/d/3", "/d/4"], "chown shop /d/1 /d/2 /d/3 … (4 in all)"),
    ],
)
def test_files_that_belong_to_root_get_a_warning_with_the_command_that_helps(look, roots, command):
    look(roots=roots)
    (warning,) = writable_paths.warnings(worker(user="shop"))
    assert warning.endswith(f"If the worker needs them: {command}")


def test_writable_paths_get_neither_error_nor_warning(look):
    look()
    assert [*writable_paths.errors(worker()), *writable_paths.warnings(worker())] == []
