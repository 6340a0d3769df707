"""Errors and warnings about paths that a worker's user can't write."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import writable_paths
from workers import worker

CHOWN = "chown --no-dereference shop"


@pytest.fixture(autouse=True)
def safe(monkeypatch):
    """The paths to which only root can lead."""
    paths = ["/data", "/d/1", "/d/2", "/d/3", "/d/a b", "/data/."]
    monkeypatch.setattr(writable_paths, "only_root_leads_to", lambda path: path in paths)
    return paths


def test_an_error_names_the_path_or_the_parent_that_denies_access():
    closed = {"/data": ["/data", 0, 0, 0o750], "/data/below": ["/data", 0, 0, 0o700]}
    itself, above = writable_paths.errors(worker(user="shop"), {"closed": closed})
    assert itself == (
        "writable_paths '/data' can't be written by user shop: /data is root:root, mode 0750."
        f" Give that user permission ({CHOWN} /data, or setfacl), or leave the path out."
    )
    assert "'/data/below' can't be written by user shop: /data is root:root, mode 0700" in above
    assert "(chmod o+x /data, or setfacl)" in above


def test_no_command_is_advised_if_others_can_replace_a_directory(safe):
    safe.clear()
    (error,) = writable_paths.errors(worker(user="shop"), {"closed": {"/data": ["/data", 4711, 4712, 0o755]}})
    assert "/data is 4711:4712, mode 0755. Give that user permission (chown, chmod or setfacl), or" in error
    (warning,) = writable_paths.warnings(worker(user="shop"), {"roots": [1, ["/d/1"]]})
    assert warning.endswith("make shop their owner, but look first, as shop can replace their directory: /d/1")


def test_a_path_that_does_not_exist_is_an_error():
    (error,) = writable_paths.errors(worker(), {"absent": ["/opt/x"]})
    assert error == "writable_paths '/opt/x' does not exist on this host. Create it, or leave the path out."
    (error,) = writable_paths.errors(worker(), {"absent": ["/tmp/x"]})
    assert error.startswith("writable_paths '/tmp/x' is in /tmp, which the sandbox hides from the service.")


@pytest.mark.parametrize(
    ("roots", "command"),
    [
        ([1, ["/d/a b"]], f"{CHOWN} '/d/a b'"),
        ([4, ["/d/1", "/d/2", "/d/3"]], f"{CHOWN} /d/1 /d/2 /d/3 … (4 in all)"),
    ],
)
def test_files_that_belong_to_root_get_a_warning_with_the_command_that_helps(roots, command):
    (warning,) = writable_paths.warnings(worker(user="shop"), {"roots": roots})
    assert warning.endswith(f"If the worker needs them: {command}")


def test_writable_paths_get_neither_error_nor_warning():
    found = {"absent": [], "closed": {}, "roots": [0, []]}
    assert [*writable_paths.errors(worker(), found), *writable_paths.warnings(worker(), found)] == []


def test_a_path_is_safe_if_only_root_can_change_where_it_leads(monkeypatch, tmp_path):
    monkeypatch.undo()
    assert writable_paths.only_root_leads_to("/usr/bin/x")
    shared = tmp_path / "shared"
    (shared / "data").mkdir(parents=True)
    shared.chmod(0o777)
    assert not writable_paths.only_root_leads_to(str(shared / "data" / "x"))
    (tmp_path / "link").symlink_to(shared)
    assert not writable_paths.only_root_leads_to(str(tmp_path / "link" / "x"))


LOGGING = {"user": "shop", "log_file": "/var/log/shop/w.log", "writable_paths": ["/data"]}


def test_the_directory_of_a_log_file_has_to_be_there_but_not_the_file():
    (error,) = writable_paths.errors(worker(**LOGGING), {"absent": ["/var/log/shop", "/var/log/shop/w.log"]})
    assert error == (
        "the directory of log_file '/var/log/shop' does not exist on this host. Create it, or set log_file to true."
    )


def test_a_log_file_that_belongs_to_root_is_an_error():
    closed = {"/var/log/shop/w.log": ["/var/log/shop/w.log", 0, 0, 0o644]}
    (error,) = writable_paths.errors(worker(**LOGGING), {"closed": closed})
    assert error.startswith("log_file '/var/log/shop/w.log' can't be written by user shop: ")
    assert error.endswith(", or set log_file to true.")
