"""What root does before a worker starts: the worker's environment, its user and other users have no part in it."""

import json
import re
from pathlib import Path

import pytest

CONVERGE = "molecule/attacks/worker.yml"
LARGE_COMMAND_LINES = (Path(__file__).parent / "files" / "large_command_lines.py").read_text()
SEARCH = "evenkeel-stale-workers-victim"
DATA = "/opt/shop/data"
# Says which users' Python imported it.
SPY = f"import os; open('{DATA}/imported-by-%d' % os.getuid(), 'w').close()"
# Where an application's user can leave a module that Python imports by itself: the user's site-packages, and the
# working directory, which an empty PYTHONPATH stands for.
PLANT = (
    'site=$HOME/.local/lib/python$(python3 -c "import sys; print(*sys.version_info[:2], sep=chr(46))")/site-packages;'
    ' mkdir -p "$site" && cp /tmp/spy.py "$site/usercustomize.py" && cp /tmp/spy.py /srv/shop/sitecustomize.py'
)
# The dynamic linker writes DATA/linked.PID, as the user of each process that has these variables.
ENVIRONMENT = {"LD_DEBUG": "statistics", "LD_DEBUG_OUTPUT": f"{DATA}/linked", "PYTHONPATH": ""}
LARGE, MANY = 20, 500
# Waits for stale workers only shortly, also when a change is rolled back, and is started again each time.
IMPATIENT = {"stale_workers_timeout": "1s", "start_limit_burst": 1000}


@pytest.fixture(scope="module")
def converge(ansible_playbook):
    def run(**more):
        return ansible_playbook(CONVERGE, "--extra-vars", json.dumps({"more": more}))

    return run


@pytest.fixture(scope="module")
def with_environment(converge):
    converge(environment=ENVIRONMENT)


@pytest.fixture
def restarted(server):
    """Has the victim's main process killed by its own user; waits for the next run."""

    def run():
        before = server.run_of("victim").id
        server.check_output(f"sudo -u shop kill -KILL {server.show('victim', 'MainPID')['MainPID']}")
        return server.next_run("victim", before)

    return run


def test_a_task_that_kills_its_worker_has_root_load_nothing_of_its_own(server, with_environment, restarted):
    server.host.check_output("printf %%s %s > /tmp/spy.py && chmod 644 /tmp/spy.py", SPY)
    server.check_output("install -d -o shop -g shop ~shop")
    server.check_output(f"sudo -u shop --set-home sh -c '{PLANT}'")
    server.check_output(f"rm -f {DATA}/imported-by-* {DATA}/linked.*")
    searched = server.show(SEARCH, "InvocationID")
    restarted()
    assert server.show(SEARCH, "InvocationID") != searched, "root has searched for stale workers"
    traces = server.check_output(f"cd {DATA} && stat --format '%U %n' imported-by-* linked.*").splitlines()
    print(*traces, sep="\n")
    assert {trace.split()[0] for trace in traces} == {"shop"}
    assert {re.sub(r"\d+$", "", trace.split()[1]) for trace in traces} == {"imported-by-", "linked."}
    server.check_output(f"rm -f /srv/shop/sitecustomize.py {DATA}/imported-by-* {DATA}/linked.*")


def test_nothing_of_a_worker_runs_as_root(server, with_environment):
    commands = server.check_output("systemctl show victim --property=ExecStartPre,ExecStart,ExecStartPreEx,ExecStartEx")
    assert "privileged" not in commands
    assert server.show(SEARCH, "Environment", "EnvironmentFiles") in ({"Environment": ""}, {})
    analysis = server.check_output("systemd-analyze security --no-pager %s.service %s.service", SEARCH, "victim")
    exposures = re.findall(r"Overall exposure level for \S+: ([\d.]+)", analysis)
    assert [float(each) <= limit for each, limit in zip(exposures, (2.5, 1.6))] == [True, True], exposures


def test_only_root_says_why_a_worker_must_not_start(server, with_environment):
    for user in ("shop", "mallory"):
        assert server.run(f"sudo -u {user} touch /run/evenkeel/victim.stale-workers").rc != 0


def test_another_users_processes_cost_a_start_nothing(server, converge, restarted):
    converge()
    begin = server.now()
    restarted()
    alone = server.now() - begin
    script = server.check_output("mktemp --suffix=.py --tmpdir=/home/mallory")
    server.check_output("printf %%s %s > %s && chmod 644 %s", LARGE_COMMAND_LINES, script, script)
    unit = "systemd-run --unit=mallory --collect --uid=mallory --property=KillSignal=SIGKILL"
    crowd = f"for i in $(seq {MANY}); do sleep 1000 & done; exec python3 {script} {LARGE}"
    try:
        server.check_output(f"{unit} sh -c '{crowd}'")
        server.wait_for(lambda: "started" in server.journal("mallory"), "the large command lines")
        begin = server.now()
        restarted()
        assert server.now() - begin < 3 * alone + 5
        assert server.show(SEARCH, "Result") == {"Result": "success"}
    finally:
        server.check_output(f"systemctl stop mallory; rm -f {script}")


def test_a_user_that_is_gone_is_a_warning_in_the_journal(server, converge):
    server.check_output("useradd ghost")
    converge(stale_workers_users=["ghost"])
    server.check_output("userdel ghost")
    server.check_output("systemctl restart victim")
    assert "user 'ghost' does not exist" in server.journal("victim")
    server.serve("victim")


@pytest.fixture
def stubborn(server, converge):
    """A stale worker of the shop's user that ignores SIGTERM: its process."""
    converge(**IMPATIENT)
    script = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print(os.getpid(), file=open('/srv/shop/data/stubborn', 'w'), flush=True); time.sleep(3600)"
    )
    server.check_output(
        ": > /srv/shop/data/stubborn && chown shop /srv/shop/data/stubborn && printf %%s %s > /srv/shop/bin/celery",
        script,
    )
    line = "setsid python3 /srv/shop/bin/celery -A shop worker -n victim@%h >/dev/null 2>&1 </dev/null &"
    server.check_output(f"cd /srv/shop && sudo -u shop sh -c '{line}'")
    server.wait_for(lambda: server.host.file("/srv/shop/data/stubborn").size, "the stale worker")
    pid = server.check_output("cat /srv/shop/data/stubborn")
    yield pid
    server.run(f"kill -KILL {pid}; rm /srv/shop/bin/celery")


def test_a_stale_worker_that_does_not_end_fails_a_deployment_which_names_it(server, converge, stubborn):
    with pytest.raises(AssertionError) as failed:
        converge(**IMPATIENT, description="Another")
    message = str(failed.value)
    assert "victim did not start" in message
    assert f"process {stubborn} of shop, in no unit: asked to finish its tasks, within 1 s" in message
    assert f"still running. Wait for its tasks, or end it by hand: kill -KILL {stubborn}" in message
    server.check_output(f"kill -KILL {stubborn}")
    # systemd has repeated the start.
    server.wait_for(lambda: server.run_of("victim").state == "active", "the worker")
    server.serve("victim")


def test_one_that_does_not_end_is_killed_on_request_and_the_deployment_succeeds(server, converge, stubborn):
    converge(**IMPATIENT, stale_workers="kill")
    assert server.run(f"kill -0 {stubborn}").rc != 0
    server.serve("victim")
