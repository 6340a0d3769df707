"""Workers that are changed, removed, refused and rolled back, observed from outside."""

import json

import pytest

CONVERGE = "molecule/celery_worker/converge.yml"
JOBS, LINKS = "slideshow-jobs", "slideshow-links"
SECRET = "not-a-secret-of-ours"
BOTH = [
    {"name": JOBS, "queues": ["celery", "batch"], "settings": {"task_acks_late": True}},
    {"name": LINKS, "queues": ["links", "variations"], "pool": "threads", "concurrency": 4},
]


@pytest.fixture(scope="module")
def converge(ansible_playbook):
    """Runs the role with these workers."""
    return lambda *workers: ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"workers": workers}))


@pytest.fixture
def runs(server):
    return lambda: {name: server.run_of(name).id for name in (JOBS, LINKS)}


def test_both_take_tasks(host):
    # With --destination, the time is long enough for a slow machine, and a quick answer ends the wait.
    named = f"--timeout=60 --destination={JOBS}@$(hostname),{LINKS}@$(hostname)"
    answer = host.check_output(
        "cd /opt/slideshow/backend && sudo -u slideshow CELERY_BROKER_URL=redis://:%s@127.0.0.1/0"
        f" ../venv/bin/celery -A celery_app inspect {named} active_queues --json",
        SECRET,
    )
    nodes = {node.split("@")[0]: {queue["name"] for queue in queues} for node, queues in json.loads(answer).items()}
    assert nodes == {JOBS: {"celery", "batch"}, LINKS: {"links", "variations"}}


def test_no_secret_in_units_process_lists_or_the_journal(host):
    assert SECRET in host.file(f"/etc/evenkeel/{JOBS}.env").content_string
    assert (host.file(f"/etc/evenkeel/{JOBS}.env").user, host.file(f"/etc/evenkeel/{JOBS}.env").mode) == ("root", 0o600)
    for look in (f"systemctl show {JOBS}", f"systemctl cat {JOBS}", "ps -ef", f"journalctl --unit {JOBS}"):
        assert SECRET not in host.check_output(look)


def test_no_secret_in_ansibles_output(ansible_output):
    different = json.dumps({"workers": [{**BOTH[0], "concurrency": 3, "environment": {"MORE": SECRET}}]})
    output = ansible_output(CONVERGE, "-vvv", "--diff", "--check", "--extra-vars", different)
    assert "MORE" in output
    # Ansible repeats its own command line.
    assert SECRET not in output.replace(different, "")


def test_invalid_input_is_refused_and_changes_nothing(converge, runs):
    before = runs()
    bad = [
        {**BOTH[0], "app": "no_such_app", "memory_max": "100T"},
        {**BOTH[1], "user": "nobody-we-know", "settings": {"task_ack_late": True}},
    ]
    with pytest.raises(AssertionError) as refused:
        converge(*bad)
    for complaint in (
        f"{JOBS}: app 'no_such_app' can't be loaded in /opt/slideshow/backend as user slideshow: The module ",
        f"{LINKS}: user 'nobody-we-know' does not exist on this host",
        "are together more than the machine's memory",
    ):
        assert complaint in str(refused.value)
    assert runs() == before


def test_a_broker_that_does_not_answer_is_named_without_its_password(converge, runs):
    before = runs()
    with pytest.raises(AssertionError, match=r"the broker redis://:\*\*@127.0.0.1:6399/0 does not answer") as refused:
        converge({**BOTH[0], "environment": {"CELERY_BROKER_URL": f"redis://:{SECRET}@127.0.0.1:6399/0"}}, BOTH[1])
    assert SECRET not in str(refused.value)
    assert runs() == before


def test_a_sandbox_that_keeps_the_worker_from_its_broker_is_refused(converge, runs):
    before = runs()
    with pytest.raises(AssertionError, match=f"{JOBS}: the broker .* does not answer: .*Address family not supported"):
        converge({**BOTH[0], "sandbox": {"RestrictAddressFamilies": ["AF_UNIX"]}}, BOTH[1])
    assert runs() == before


def test_a_worker_that_does_not_start_is_rolled_back(host, converge, show):
    unit = host.file(f"/etc/systemd/system/{JOBS}.service").sha256sum
    # The preflight ends a worker before it makes its consumer.
    with pytest.raises(AssertionError, match=rf"{JOBS} did not start: .* It was rolled back and runs"):
        converge({**BOTH[0], "settings": {"worker_consumer": "nowhere:Consumer"}, "start_timeout": "8s"}, BOTH[1])
    assert host.file(f"/etc/systemd/system/{JOBS}.service").sha256sum == unit
    assert show(JOBS, "ActiveState") == {"ActiveState": "active"}


def test_only_the_changed_worker_restarts(converge, runs):
    before = runs()
    converge({**BOTH[0], "concurrency": 2}, BOTH[1])
    after = runs()
    assert after[JOBS] != before[JOBS]
    assert after[LINKS] == before[LINKS]


def test_a_worker_that_leaves_the_list_is_removed(host, converge, show):
    converge(BOTH[0])
    assert show(LINKS, "LoadState", "ActiveState") == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert not host.file(f"/etc/evenkeel/{LINKS}.env").exists
    assert show(JOBS, "ActiveState") == {"ActiveState": "active"}


def test_absent_removes_everything_deployed(host, ansible_playbook, show):
    ansible_playbook(CONVERGE, "--extra-vars", "state=absent")
    assert show(JOBS, "LoadState", "ActiveState") == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert not ansible_playbook(CONVERGE, "--extra-vars", "state=absent")["changed"]


def test_original_units_are_restored_unchanged(host, ansible_playbook):
    """One in /usr/lib, enabled but stopped; one linked from a checkout; one that is not enabled."""
    by_hand = (
        "[Service]\nExecStart=/opt/slideshow/venv/bin/celery -A celery_app worker -Q none -n %p@%%h\n"
        "WorkingDirectory=/opt/slideshow/backend\nUser=slideshow\n"
    )
    install = "[Install]\nWantedBy=default.target\n"
    units = {
        "of-the-system": ("/usr/lib/systemd/system", by_hand + install),
        "of-a-checkout": ("/opt/slideshow", by_hand + install),
        "of-another": ("/etc/systemd/system", by_hand),
    }
    for name, (directory, text) in units.items():
        host.check_output("printf %s > %s/%s.service", text.replace("%", "%%"), directory, name)
    host.check_output(
        "systemctl daemon-reload && systemctl start of-another && systemctl enable of-the-system"
        " && systemctl enable --now /opt/slideshow/of-a-checkout.service"
    )

    def look():
        state = (
            "systemctl show --property=FragmentPath,UnitFileState,ActiveState of-the-system of-a-checkout of-another"
        )
        files = "find /etc/systemd/system -name 'of-*' -printf '%p %l %m\n' | sort; sha256sum /etc/systemd/system/of-*"
        return host.check_output(state) + host.check_output(files)

    before = look()
    defaults = {"app": "celery_app", "directory": "/opt/slideshow/backend", "user": "slideshow"}
    defaults["executable"] = "/opt/slideshow/venv/bin/celery"
    workers = [{**defaults, "name": name, "queues": ["none"]} for name in units]
    both = ("--extra-vars", json.dumps({"workers": workers, "celery_worker_instances": workers}))
    for _ in range(2):
        ansible_playbook(CONVERGE, *both)
        assert look().count("ActiveState=active") == len(units)
        ansible_playbook("playbooks/rollback.yml", *both)
        assert look() == before
    assert not ansible_playbook("playbooks/rollback.yml", *both)["changed"]
