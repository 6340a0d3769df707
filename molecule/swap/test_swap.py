"""A swap file as the kernel sees it, with changes, interruptions and refusals."""

import json

import pytest
from testinfra.modules.ansible import AnsibleException

# One host after the other, because swap is the machine's.
pytestmark = pytest.mark.xdist_group("the machine's swap")
PLAYBOOK = "molecule/swap/converge.yml"
MIB = 1024 * 1024


@pytest.fixture
def path(host):
    return f"/mnt/swap/{host.backend.get_hostname()}"


@pytest.fixture
def converge(ansible_playbook):
    """Runs the role on this host; returns whether it changed anything."""

    def run(*options, **variables):
        return ansible_playbook(PLAYBOOK, *options, "--extra-vars", json.dumps(variables))["changed"] > 0

    return run


@pytest.fixture
def swapfile(host):
    """Runs the module; returns its result, also if it fails."""

    def run(path, check=False, **options):
        arguments = " ".join(f"{name}={value}" for name, value in {"path": path, **options}.items())
        try:
            return host.ansible("evenkeel.celery.swapfile", arguments, check=check)
        except AnsibleException as error:
            return error.result

    return run


@pytest.fixture
def swaps(host):
    """The size in MiB, with the header, of each of this host's files in /proc/swaps."""

    def look():
        lines = host.file("/proc/swaps").content_string.splitlines()[1:]
        fields = [line.split() for line in lines]
        hostname = host.backend.get_hostname()
        return {name: (int(size) + 4) // 1024 for name, _type, size, *_rest in fields if hostname in name}

    return look


def test_it_is_private_active_and_listed_in_fstab(host, path, swaps):
    file = host.file(path)
    assert (file.user, file.group, file.mode, file.size) == ("root", "root", 0o600, 64 * MIB)
    assert swaps() == {path: 64}
    assert host.file("/etc/fstab").content_string.count(path) == 1
    assert host.check_output("cat /proc/sys/vm/swappiness") == "10"
    assert host.check_output("ls /mnt/swap") == path.rpartition("/")[2]


def test_swapon_all_enables_it_from_fstab(host, path, swaps):
    host.check_output("swapoff %s", path)
    assert swaps() == {}
    host.run("swapon --all")
    assert swaps() == {path: 64}


def test_it_is_switched_on_again(host, path, swaps, converge):
    host.check_output("swapoff %s", path)
    assert converge("--check")
    assert swaps() == {}
    assert converge()
    assert swaps() == {path: 64}


@pytest.mark.parametrize("size", [96, 48, 64])
def test_it_is_resized(host, path, swaps, converge, size):
    before = host.check_output("stat -c %%i %s", path)
    assert converge("--check", swap_size=f"{size}M")
    assert host.check_output("stat -c %%i %s", path) == before
    assert converge(swap_size=f"{size}M")
    assert swaps() == {path: size}
    assert host.file(path).mode == 0o600
    assert not converge(swap_size=f"{size}M")


HOARD = """
import hashlib, os, pathlib, time
hoard = os.urandom(48 << 20)
pathlib.Path("/tmp/hoard").write_text(hashlib.sha256(hoard).hexdigest())
while not pathlib.Path("/tmp/hoard.end").exists():
    time.sleep(0.1)
pathlib.Path("/tmp/hoard.after").write_text(hashlib.sha256(hoard).hexdigest())
"""


@pytest.fixture
def hoard(host, show, path, wait_for):
    """A process whose memory is swapped out to this host's file, and must be unchanged at the end."""
    host.run("rm --force /tmp/hoard*")
    # All hosts of the machine share its swap, so this file gets priority.
    host.check_output("swapoff %s && swapon --priority 100 %s", path, path)
    host.check_output("systemd-run --unit=hoard -p MemoryMax=24M python3 -c %s", HOARD)
    swapped_out = "awk -v file=%s '$1 == file && $4 > 8192' /proc/swaps"
    wait_for(lambda: host.run(swapped_out, path).stdout, "memory that is swapped out")
    yield
    host.check_output("touch /tmp/hoard.end")
    gone = {"LoadState": "not-found"}
    wait_for(lambda: show("hoard", *gone) == gone, "the process to end")
    assert host.file("/tmp/hoard.after").content == host.file("/tmp/hoard").content


@pytest.mark.usefixtures("hoard")
def test_swapped_out_memory_survives_a_resize(path, swaps, swapfile):
    assert swapfile(path, size="72M")["changed"]
    assert swaps() == {path: 72}
    assert swapfile(path, size="64M")["changed"]


@pytest.mark.usefixtures("hoard")
def test_a_swap_file_is_kept_if_swapped_out_memory_does_not_fit_elsewhere(host, path, swaps, swapfile):
    host.check_output(
        "grep -e Filename -e %s /proc/swaps > /tmp/swaps; echo 'MemAvailable: 4096 kB' > /tmp/meminfo", path
    )
    host.check_output("for file in swaps meminfo; do mount --bind /tmp/$file /proc/$file; done")
    try:
        for options in ({"state": "absent"}, {"size": "32M"}):
            for check in (True, False):
                result = swapfile(path, check=check, **options)
                assert "is swapped out to it, but only 4M are free elsewhere" in result["msg"]
    finally:
        host.check_output("umount /proc/swaps /proc/meminfo")
    assert swaps() == {path: 64}


@pytest.mark.parametrize("spoil", ["chmod 644", "chown nobody"])
def test_a_file_that_others_could_open_is_replaced_while_it_is_active(host, path, swaps, swapfile, spoil):
    host.check_output(f"{spoil} %s", path)
    before = host.check_output("stat -c %%i %s", path)
    assert swapfile(path, size="64M")["changed"]
    file = host.file(path)
    assert (file.user, file.mode) == ("root", 0o600)
    assert host.check_output("stat -c %%i %s", path) != before
    assert swaps() == {path: 64}


def test_a_file_with_holes_is_replaced(host, path, swaps, swapfile):
    host.check_output("swapoff %s && rm %s && truncate --size 64M %s && mkswap %s", path, path, path, path)
    assert swapfile(path, size="64M")["changed"]
    assert swaps() == {path: 64}


@pytest.mark.parametrize(
    "interruption",
    [
        "truncate --size 10M $P.evenkeel-new",
        "fallocate --length 64M $P.evenkeel-new; mkswap $P.evenkeel-new; swapon $P.evenkeel-new",
        "swapoff $P; mv $P $P.evenkeel-new; swapon $P.evenkeel-new",
        "swapoff $P; mv $P $P.evenkeel-new",
        "swapoff $P; fallocate --length 32M $P.evenkeel-new; mkswap $P.evenkeel-new; swapon $P.evenkeel-new",
    ],
)
def test_an_interrupted_run_is_completed_by_the_next(host, path, swaps, swapfile, interruption):
    host.check_output("P=%s; umask 077; " + interruption, path)
    assert swapfile(path, size="64M")["changed"]
    assert swaps() == {path: 64}
    assert host.check_output("ls /mnt/swap") == path.rpartition("/")[2]
    assert not swapfile(path, size="64M")["changed"]


def test_a_line_in_fstab_keeps_its_options_and_is_switched_on_at_boot(host, path, converge):
    host.check_output("sed -i 's|^%s .*|%s swap swap noauto,nofail,pri=10 0 0|' /etc/fstab", path, path)
    assert converge()
    lines = [line for line in host.file("/etc/fstab").content_string.splitlines() if path in line]
    assert lines == [f"{path} swap swap nofail,pri=10 0 0"]
    assert not converge()


def test_another_swappiness_is_shown_and_not_set_in_check_mode(host, ansible_output):
    # Without check mode, it would also change for the other scenarios.
    diff = ansible_output(PLAYBOOK, "--check", "--diff", "--extra-vars", "swap_swappiness=20")
    assert "+vm.swappiness = 20" in diff
    assert host.check_output("cat /proc/sys/vm/swappiness") == "10"
    assert "vm.swappiness = 10" in host.file("/etc/sysctl.d/zz-evenkeel-swap.conf").content_string


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        ("echo precious > $P", "file that holds something else"),
        ("mkdir $P", "directory"),
        ("echo precious > $P.target; ln -s $P.target $P", "symbolic link"),
        ("mknod $P b 7 200", "block device"),
    ],
)
def test_anything_but_a_swap_file_is_refused(host, path, swapfile, make, kind):
    other = f"{path}.other"
    host.check_output("rm -rf %s*; P=%s; " + make, other, other)
    look = "ls -ld --time-style=full-iso %s*; cat %s || true"
    before = host.run(look, other, other).stdout
    for state in ("present", "absent"):
        result = swapfile(other, size="8M", state=state)
        assert f"{other} is a {kind} and is left as it is" in result["msg"]
    assert host.run(look, other, other).stdout == before
    host.check_output("rm -rf %s*", other)


def test_a_file_system_without_swap_files_is_refused_or_skipped(host, swapfile):
    for place, filesystem in (("/swapfile", "overlay"), ("/tmp/swapfile", "tmpfs")):
        for check in (True, False):
            result = swapfile(place, check=check, size="8M")
            assert f"{place} is on {filesystem}, which does not support swap files" in result["msg"]
            assert swapfile(place, check=check, size="8M", unsupported="skip")["skipped"]
        assert not host.file(place).exists


def test_the_role_skips_a_file_system_without_swap_files(host, converge):
    fstab = host.file("/etc/fstab").content_string
    assert not converge(swap_path="/swapfile", swap_unsupported="skip")
    assert host.file("/etc/fstab").content_string == fstab


def test_a_full_disk_is_reported_before_anything_changes(host, path, swaps, swapfile):
    for check in (True, False):
        result = swapfile(f"{path}.big", check=check, size="8M", reserve="1000T")
        assert "size 8M and reserve 1000T do not fit" in result["msg"]
    assert not host.file(f"{path}.big").exists
    assert swaps() == {path: 64}


def test_a_missing_directory_is_reported(swapfile):
    assert "directory /mnt/nowhere does not exist" in swapfile("/mnt/nowhere/swap")["msg"]
    assert not swapfile("/mnt/nowhere/swap", state="absent")["changed"]


def test_it_is_removed_and_created_again(host, path, swaps, converge):
    assert converge("--check", swap_state="absent")
    assert swaps() == {path: 64}
    assert converge(swap_state="absent")
    assert swaps() == {}
    assert host.check_output("ls /mnt/swap") == ""
    assert path not in host.file("/etc/fstab").content_string
    assert not host.file("/etc/sysctl.d/zz-evenkeel-swap.conf").exists
    assert not converge(swap_state="absent")
    assert converge()
    assert swaps() == {path: 64}
