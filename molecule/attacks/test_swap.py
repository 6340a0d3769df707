"""Another local user wants to read or change what is swapped out, or to have root write into another file."""

import pytest
from testinfra.modules.ansible import AnsibleException

HOLD = """
import pathlib, sys, time
with open(sys.argv[1], "r+b", buffering=0) as file:
    pathlib.Path("/tmp/held").touch()
    while pathlib.Path("/tmp/held").exists():
        time.sleep(0.1)
    file.seek(8192)
    file.write(b"written by mallory")
"""


@pytest.fixture
def directory(host):
    """A directory of root's on a file system that can have swap files."""
    path = f"/mnt/swap/{host.backend.get_hostname()}-attacks"
    host.check_output("umask 022; mkdir --parents %s", path)
    yield path
    host.run("swapoff %s/*", path)
    host.check_output("rm --recursive --force %s", path)


@pytest.fixture
def swapfile(host):
    """Runs the module; returns its result, also if it fails."""

    def run(path, check=False, **options):
        arguments = " ".join(f"{name}={value}" for name, value in {"path": path, "size": "8M", **options}.items())
        try:
            return host.ansible("evenkeel.celery.swapfile", arguments, check=check)
        except AnsibleException as error:
            return error.result

    return run


def test_a_swap_file_that_a_user_holds_open_is_not_used(host, directory, swapfile, wait_for):
    path = f"{directory}/swapfile"
    host.check_output("fallocate --length 8M %s && mkswap %s && chown mallory %s && rm -f /tmp/held", *[path] * 3)
    host.check_output("systemd-run --unit=holder --uid=mallory python3 -c %s %s", HOLD, path)
    wait_for(lambda: host.file("/tmp/held").exists, "mallory to hold the file open")
    assert swapfile(path)["changed"]
    assert path in host.file("/proc/swaps").content_string
    host.check_output("rm /tmp/held")
    wait_for(lambda: not host.service("holder").is_running, "mallory to write to the file")
    status = host.check_output("stat --format='%%U %%a' %s", path)
    assert (status, host.run("grep --quiet 'written by mallory' %s", path).rc) == ("root 600", 1)
    host.check_output("! runuser --user mallory -- cat %s", path)
    assert swapfile(path, state="absent")["changed"]


@pytest.mark.parametrize("spoil", ["chown mallory", "chmod o+w", "chmod g+w"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_no_swap_file_is_made_or_removed_where_a_user_could_exchange_it(host, directory, swapfile, spoil, state):
    host.check_output("mkdir %s/inner && fallocate --length 8M %s/inner/swapfile", directory, directory)
    host.check_output(f"mkswap %s/inner/swapfile && chmod 600 %s/inner/swapfile && {spoil} %s", *[directory] * 3)
    before = host.check_output("ls -lR --time-style=full-iso %s", directory)
    for check in (True, False):
        result = swapfile(f"{directory}/inner/swapfile", check=check, state=state)
        assert f"others than root can write to {directory}, and could exchange the file" in result["msg"]
    assert host.check_output("ls -lR --time-style=full-iso %s", directory) == before
    assert directory not in host.file("/proc/swaps").content_string


def test_no_link_of_a_users_leads_root_to_another_directory(host, directory, swapfile):
    host.check_output(
        "mkdir %s/inner && runuser --user mallory -- ln -sfn %s/inner /home/mallory/link", *[directory] * 2
    )
    result = swapfile("/home/mallory/link/swapfile")
    assert "others than root can write to /home/mallory/link" in result["msg"]
    assert host.check_output("ls %s/inner", directory) == ""
