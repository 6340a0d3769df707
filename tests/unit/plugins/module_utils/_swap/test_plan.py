"""Plans, carried out on a model of a host that follows the kernel's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.apply import Runner, apply
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.plan import File, Host, SwapError, check, plan
from hypothesis import given
from hypothesis import strategies as st

PATH, NEW = "/swapfile", "/swapfile.evenkeel-new"
G = 1 << 30
EMPTY = Host(File(PATH), File(NEW), "ext4", free=10 * G, memory=4 * G)


def swap(path=PATH, size=2 * G, **other):
    return File(path, "swap file", size, **{"disk": size, **other})


def verbs(steps):
    return [f"{step.verb} {'new' if step.path == NEW else 'file'}" for step in steps]


class Kernel(Runner):
    """A simulated host that refuses what Linux refuses, and records its state after each step."""

    def __init__(self, host, size, broken=()):
        super().__init__(PATH, size, self.refuse, lambda line: None)
        self.host = host
        self.broken = list(broken)
        self.proven = [file.path for file in (host.file, host.new) if file.active]
        self.history = [host]

    def refuse(self, *command):
        raise AssertionError(command)

    def look(self):
        return self.host

    def take(self, step):
        if self.broken and self.broken.pop(0):
            raise SwapError("broken")
        name = "new" if step.path == NEW else "file"
        self.host = replace(self.host, **getattr(self, step.verb)(name, getattr(self.host, name)))
        self.history.append(self.host)

    def make(self, name, file):
        assert file.kind == "nothing"
        return {name: swap(file.path, self.size)}

    def on(self, name, file):
        assert file.size and not file.active
        self.proven.append(file.path)
        return {name: replace(file, active=True)}

    def off(self, name, file):
        assert file.active
        if name == "file" and self.size and self.host.new.kind != "nothing":
            assert NEW in self.proven  # the new file is proven before the old one goes
        return {name: replace(file, active=False, used=0)}

    def rename(self, name, file):
        assert not file.active
        assert not self.host.file.active
        return {"file": replace(file, path=PATH), "new": File(NEW)}

    def remove(self, name, file):
        assert not file.active
        return {name: File(file.path)}


@st.composite
def files(draw, path):
    kind = draw(st.sampled_from(["nothing", "swap file"] + ["file that holds something else"] * (path == NEW)))
    size = draw(st.sampled_from([0, G, 2 * G, 3 * G])) if kind == "swap file" else 0
    active = bool(size) and draw(st.booleans())
    used = draw(st.integers(0, size)) if active else 0
    mode = draw(st.sampled_from([0o600, 0o644]))
    owner = draw(st.sampled_from([(0, 0), (1000, 0)]))
    return File(path, kind, size, size, mode, owner, active, used) if kind != "nothing" else File(path)


hosts = st.builds(
    Host, files(PATH), files(NEW), st.just("ext4"), st.integers(0, 9 * G), st.integers(0, 4 * G), st.integers(0, G)
)
sizes = st.sampled_from([None, G, 2 * G])


@given(hosts, sizes)
def test_a_plan_reaches_the_wanted_state_and_the_next_plan_is_empty(host, size):
    kernel = Kernel(host, size)
    apply(kernel, host, plan(host, size))
    after = kernel.host
    assert after.new == File(NEW)
    assert after.file == (File(PATH) if size is None else after.file)
    assert size is None or (after.file.size == size and after.file.active and after.file.private)
    assert plan(after, size) == []


@given(hosts, sizes.filter(bool))
def test_a_host_with_swap_loses_it_only_while_the_new_file_is_renamed(host, size):
    kernel = Kernel(host, size)
    steps = plan(host, size)
    apply(kernel, host, steps)
    was_served = host.file.active or (host.new.active and host.file.size and host.file.private)
    for number, moment in enumerate(kernel.history):
        # A reboot finds a complete swap file at the path, if there was one before.
        assert moment.file.size or not host.file.size
        # There is no swap only while the proven new file is renamed.
        if was_served and not (moment.file.active or moment.new.active):
            assert verbs(steps[number:]) in (["rename new", "on file"], ["on file"])


@given(hosts, sizes)
def test_a_file_of_another_users_is_never_switched_on(host, size):
    kernel = Kernel(host, size)
    apply(kernel, host, plan(host, size))
    before = {file.path: file for file in (host.file, host.new)}
    for file in (file for moment in kernel.history for file in (moment.file, moment.new)):
        assert not file.active or file.private or file == before[file.path]


@given(hosts, sizes, st.lists(st.booleans(), max_size=8))
def test_a_failure_restores_the_original_swap_and_the_next_run_succeeds(host, size, broken):
    kernel = Kernel(host, size, broken)
    try:
        apply(kernel, host, plan(host, size))
    except SwapError:
        if broken.count(True) == 1 and host.file.active and size:
            assert kernel.host.file.active
            assert kernel.host.new == File(NEW)
    kernel.broken = []
    apply(kernel, kernel.host, plan(kernel.host, size))
    assert plan(kernel.host, size) == []


@given(hosts, sizes, st.integers(0, 2 * G))
def test_a_plan_that_passes_the_check_has_the_disk_space_and_memory_that_it_needs(host, size, reserve):
    steps = plan(host, size)
    try:
        check(host, steps, size, reserve)
    except SwapError:
        return
    if "make" in [step.verb for step in steps]:
        assert host.free + host.new.disk - size >= reserve
    if "off" in [step.verb for step in steps]:
        assert host.file.used + host.new.used <= host.memory + host.elsewhere


def test_the_error_names_the_step_that_failed():
    kernel = Kernel(EMPTY, G, [False, True])
    with pytest.raises(SwapError, match=f"Could not swapon {NEW}: broken"):
        apply(kernel, EMPTY, plan(EMPTY, G))
    assert kernel.host == EMPTY


REPLACE = ["make new", "on new", "off new", "rename new", "on file"]
LEFT = swap(NEW)


@pytest.mark.parametrize(
    ("host", "size", "steps"),
    [
        (EMPTY, 2 * G, REPLACE),
        (EMPTY, None, []),
        (replace(EMPTY, file=swap(active=True)), 2 * G, []),
        (replace(EMPTY, file=swap()), 2 * G, ["on file"]),
        (replace(EMPTY, file=swap(mode=0o644)), 2 * G, REPLACE),
        (replace(EMPTY, file=swap(owner=(1000, 0))), 2 * G, REPLACE),
        (replace(EMPTY, file=swap(active=True, mode=0o644)), 2 * G, ["make new", "on new", "off file", *REPLACE[2:]]),
        (replace(EMPTY, file=swap(active=True)), G, ["make new", "on new", "off file", *REPLACE[2:]]),
        (replace(EMPTY, file=swap(size=0)), 2 * G, REPLACE),
        (replace(EMPTY, file=swap(active=True)), None, ["off file", "remove file"]),
        (replace(EMPTY, new=File(NEW, "file that holds something else")), G, ["remove new", *REPLACE]),
        (replace(EMPTY, file=swap(size=G), new=replace(LEFT, active=True)), 2 * G, REPLACE[2:]),
        (replace(EMPTY, file=swap(active=True), new=LEFT), 2 * G, ["remove new"]),
        (
            replace(EMPTY, file=swap(), new=replace(LEFT, active=True)),
            G,
            ["on file", "off new", "remove new", "make new", "on new", "off file", *REPLACE[2:]],
        ),
    ],
)
def test_plans(host, size, steps):
    assert verbs(plan(host, size)) == steps


@pytest.mark.parametrize("kind", ["file that holds something else", "directory", "symbolic link", "block device"])
@pytest.mark.parametrize("size", [G, None])
def test_anything_but_a_swap_file_is_left_alone(kind, size):
    with pytest.raises(SwapError, match=f"/swapfile is a {kind} and is left as it is"):
        plan(replace(EMPTY, file=File(PATH, kind)), size)


@pytest.mark.parametrize(
    ("host", "size", "words"),
    [
        (replace(EMPTY, filesystem="overlay"), G, "is on overlay, which does not support swap files.*ext4"),
        (replace(EMPTY, filesystem=""), G, "directory / does not exist"),
        (replace(EMPTY, shared="/srv/shop"), 2 * G, "others than root can write to /srv/shop.*chown root:root"),
        (replace(EMPTY, file=swap(active=True), shared="/srv"), 2 * G, "others than root can write to /srv"),
        (replace(EMPTY, file=swap(), shared="/srv"), None, "others than root can write to /srv"),
        (replace(EMPTY, free=2 * G), 2 * G, "size 2G and reserve 1G do not fit into the 2048M"),
        (replace(EMPTY, file=swap(active=True), free=G), G, "remove it first"),
        (replace(EMPTY, file=swap(active=True, used=G), memory=G), None, "1024M of memory is swapped out to it"),
        (replace(EMPTY, file=swap(active=True, used=G), memory=G), 3 * G, "only 922M are free elsewhere"),
    ],
)
def test_the_check_refuses_what_the_host_can_not_do(host, size, words):
    with pytest.raises(SwapError, match=words):
        check(host, plan(host, size), size, G)


def test_a_host_in_the_wanted_state_needs_neither_memory_nor_disk_space():
    full = replace(EMPTY, file=swap(active=True, used=G), filesystem="overlay", free=0, memory=0)
    check(full, plan(full, 2 * G), 2 * G, G)
