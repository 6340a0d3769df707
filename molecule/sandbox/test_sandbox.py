"""What a task may do, tested with tasks of real workers."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

CONVERGE = yaml.safe_load((Path(__file__).parent / "converge.yml").read_text())
WORKERS = [worker["name"] for worker in CONVERGE[0]["roles"][0]["vars"]["all_of_them"]]
DATA = "/opt/slideshow/data"
# Each works only if the directive that forbids it is off.
FORBIDDEN = {
    "LockPersonality": "setarch -R true",
    "PrivateTmp": "cat /tmp/of-the-host",
    "ProtectProc": "ps -eo user= | grep -x root",
    "ProtectSystem": "touch /opt/slideshow/elsewhere/$$",
    # The kernel answers that this family is not permitted, the sandbox that it does not exist.
    "RestrictAddressFamilies": "python3 -c 'import socket; socket.socket(socket.AF_PACKET)' 2>&1 | grep permitted",
    "RestrictSUIDSGID": f"touch {DATA}/suid-$$ && chmod u+s {DATA}/suid-$$",
    "SystemCallFilter": "python3 -c 'import ctypes; exit(-ctypes.CDLL(None).ptrace(0, 0, 0, 0))'",
}
# Not in FORBIDDEN, because turning off NoNewPrivileges alone has no effect: system call filters imply it.
GAIN_PRIVILEGES = "id-of-root -u | grep -x 0"
CALLED_BACK = """
from ctypes import *
order = CFUNCTYPE(c_int, POINTER(c_int), POINTER(c_int))(lambda one, other: one[0] - other[0])
numbers = (c_int * 3)(3, 1, 2)
CDLL(None).qsort(numbers, 3, sizeof(c_int), order)
assert list(numbers) == [1, 2, 3]
"""
ALLOWED = {
    "write to writable_paths": f"touch {DATA}/$$",
    "write to /tmp": "touch /tmp/$$ /var/tmp/$$ /dev/shm/$$",
    "resolve and connect to hosts": "python3 -c 'import socket; socket.create_connection((\"localhost\", 6379))'",
    "use https": "curl --silent --fail --output /dev/null --cacert /opt/slideshow/https.pem https://localhost:4433/",
    "fork": "python3 -c 'import multiprocessing.pool as pool; pool.ThreadPool(9); pool.Pool(2).map(abs, [1])'",
    "call C functions with callbacks": f"python3 -c {shlex.quote(CALLED_BACK)}",
    "read the machine's state": "nproc && cat /proc/loadavg /proc/meminfo /proc/cpuinfo",
    "set its priority and CPU affinity": "nice taskset --cpu-list $(taskset --cpu-list --pid $$ | sed 's/.*: //') true",
    "run its own programs": f"cp /bin/true {DATA}/$$ && {DATA}/$$",
}
SEND = """
import json, sys
from celery_app import app
for number, command in enumerate(json.loads(sys.argv[2])):
    for queue in json.loads(sys.argv[1]):
        app.send_task("shell.sh", [f"{queue}.{number}", command], queue=queue)
"""


@pytest.fixture(scope="module")
def works(host, wait_for):
    """The workers in which each command works: {command: {worker, …}}."""
    commands = [*FORBIDDEN.values(), GAIN_PRIVILEGES, *ALLOWED.values()]
    names = {f"{worker}.{number}": command for worker in WORKERS for number, command in enumerate(commands)}
    host.check_output(f"rm -f {DATA}/*.[0-9]*")
    send = "cd /opt/slideshow/backend && ../venv/bin/python -c %s %s %s"
    host.check_output(send, SEND, json.dumps(WORKERS), json.dumps(commands))

    def results():
        lines = host.run(f"cd {DATA} && grep --no-messages --max-count=1 '' *.[0-9]*").stdout.splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return found if set(names) <= set(found) else None

    found = wait_for(results, "all tasks to have tried")
    print("\n".join(f"{name}: {names[name]}: {outcome}" for name, outcome in found.items()))
    return {
        command: {worker for worker in WORKERS if found[f"{worker}.{number}"].startswith("0 ")}
        for number, command in enumerate(commands)
    }


@pytest.mark.parametrize("directive", FORBIDDEN)
def test_a_directive_restricts_tasks_until_it_is_turned_off(works, directive):
    assert works[FORBIDDEN[directive]] == {f"without-{directive}", "without-any"}


def test_no_task_gains_privileges(host, works):
    assert host.check_output("sudo -u slideshow id-of-root -u") == "0"
    assert works[GAIN_PRIVILEGES] == {"without-any"}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_task_may(works, what):
    assert works[ALLOWED[what]] == set(WORKERS)


def test_no_process_of_a_worker_has_capabilities(host, show):
    """Nor can it gain any: the bounding set is empty, and setuid programs have no effect."""
    worker = show("slideshow", "MainPID")["MainPID"]
    family = f"{worker} $(pgrep --parent {worker})"
    status = host.check_output(f"for pid in {family}; do cat /proc/$pid/status; done")
    found = {tuple(line.split()) for line in status.splitlines() if re.match("Uid|Cap|NoNewPrivs", line)}
    none, user = "0" * 16, str(host.user("slideshow").uid)
    sets = {(f"Cap{name}:", none) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    assert found == {("Uid:", user, user, user, user), ("NoNewPrivs:", "1"), *sets}
    assert status.count("NoNewPrivs") >= 2, "the main process and its child"


def test_a_stop_takes_longer_than_the_time_limit_that_only_a_task_has(show):
    assert show("slideshow", "TimeoutStopUSec")["TimeoutStopUSec"] == "25min 30s"


def test_systemd_rates_the_exposure_of_the_default_unit_as_low(host):
    """From 0, nothing allowed, to 10."""

    def exposure(worker):
        analysis = host.check_output("systemd-analyze security --no-pager %s.service", worker)
        return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", analysis)[1])

    assert exposure("slideshow") <= 3.0
    assert exposure("without-any") > 9


def test_the_slideshow_works(host, wait_for):
    """A job, a variation and a batch are completed, and the web front end reads what the worker wrote."""
    front = "http://127.0.0.1:8080/api"

    def ask(path, wish=None):
        data = f"--json '{json.dumps(wish)}'" if wish else ""
        return json.loads(host.check_output(f"curl --silent --show-error --fail {data} {front}/{path}"))

    job = ask("jobs", {"images": 2, "variations": 1})
    batch = ask("jobs", {"images": 1, "links": ["https://a.example"]})

    def completed():
        rows = [*ask("jobs?limit=2"), ask(f"batches/{batch['id']}")]
        return {row["status"] for row in rows} == {"completed"}

    wait_for(completed, "a job, its variation and a batch")
    assert (
        host.check_output(
            "curl --silent --fail --output /dev/null --write-out %%{http_code} %s/jobs/%s/slideshow", front, job["id"]
        )
        == "200"
    )
