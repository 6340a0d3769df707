"""The healed server, looked at from outside while it lives: processes, kernel, databases, the API's own count."""

import json
import time

import pytest

WORKER = "celery-worker"
WATCHDOG = 10  # seconds; converge.yml
DATA = "/opt/slideshow/data"


@pytest.fixture
def count(host):
    """How many rows of a table are in a state."""

    def run(database, table, status):
        query = f"SELECT count(*) FROM {table} WHERE status = '{status}'"
        return int(host.check_output("sqlite3 -readonly %s/%s.db %s", DATA, database, query))

    return run


@pytest.fixture
def send(host):
    """Sends a task as the application would."""

    def run(task, *arguments):
        return host.check_output(
            "cd /opt/slideshow/backend && sudo -u slideshow ../venv/bin/celery -A celery_app call %s --args=%s",
            f"diagnostics.{task}",
            json.dumps(arguments),
        )

    return run


@pytest.fixture
def touched(host):
    """How often the task touch(name) has run to its end."""
    return lambda name: int(host.run("grep -c '^%s ' %s/touched.log", name, DATA).stdout or 0)


def _workers(host):
    """PIDs of the application's worker: its main process and the pool's children, wherever they run."""
    return host.check_output("pgrep -f '[c]elery -A celery_app worker' | sort -n").split()


def _api(host, path, body=None):
    data = f"--json '{json.dumps(body)}'" if body else ""
    return json.loads(host.check_output(f"curl --silent --show-error --fail {data} {path}"))


def test_one_worker_with_one_child_as_the_ordinary_user(host, show):
    main = show(WORKER, "MainPID")["MainPID"]
    children = host.check_output("pgrep -P %s", main).split()
    assert len(children) == 1
    assert set(_workers(host)) == {main, *children}, "leftovers of earlier runs are still there"
    assert set(host.check_output("ps -o user= -p %s,%s", main, children[0]).split()) == {"slideshow"}


def test_the_unit_is_what_the_inventory_asks_for(show):
    limits = show(WORKER, "Type", "KillMode", "MemoryMax", "MemoryHigh", "WatchdogUSec", "UnitFileState", "OOMPolicy")
    assert limits == {
        "Type": "notify",
        "KillMode": "mixed",
        "MemoryMax": str(800 * 2**20),
        "MemoryHigh": str(600 * 2**20),
        "WatchdogUSec": f"{WATCHDOG}s",
        "UnitFileState": "enabled",
        "OOMPolicy": "continue",
    }


def test_the_neighbours_live_on(host, show):
    before = host.file("/root/look.before").content_string
    neighbour = show("photo-album", "ActiveState", "MainPID", "NRestarts")
    assert (neighbour["ActiveState"], neighbour["NRestarts"]) == ("active", "0")
    assert f"{neighbour['MainPID']} photo_album" in " ".join(before.split())


def test_jobs_are_made_with_twenty_calls_at_once(host, wait_for):
    host.check_output("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=40&scale=20'")
    job = _api(host, "http://127.0.0.1:8080/api/jobs", {"images": 30})
    batch = _api(
        host, "http://127.0.0.1:8080/api/jobs", {"images": 2, "links": ["https://a.example", "https://b.example"]}
    )

    def completed(kind, row):
        return _api(host, f"http://127.0.0.1:8080/api/{kind}/{row['id']}")["status"] == "completed"

    wait_for(lambda: completed("jobs", job) and completed("batches", batch), 60, "the job and the batch")
    stats = _api(host, "http://127.0.0.1:8089/stats")
    assert stats["highest_parallel"] == 20
    assert stats["refused"] == 0
    assert stats["served"] == 34


def test_the_stuck_jobs_are_dealt_with(host, count):
    gone = "SELECT count(*) FROM jobs WHERE id LIKE '77cfa3cd%' OR id LIKE 'b49d06f6%'"
    assert host.check_output("sqlite3 -readonly %s/jobs.db %s", DATA, gone) == "0"
    for database, table in (("jobs", "jobs"), ("batch_processing", "batches"), ("batch_processing", "links")):
        assert count(database, table, "processing") == 0


def test_cron_puts_back_a_job_that_gets_stuck_and_it_is_done(host, wait_for):
    host.check_output(
        "sudo -u slideshow sqlite3 %s/jobs.db %s",
        DATA,
        "INSERT INTO jobs (id, status, images, created_at, updated_at)"
        " VALUES ('stuck-for-cron', 'processing', 1, datetime('now', '-2 hours'), datetime('now', '-2 hours'))",
    )
    status = "SELECT status FROM jobs WHERE id = 'stuck-for-cron'"
    query = ("sqlite3 -readonly %s/jobs.db %s", DATA, status)
    wait_for(lambda: host.check_output(*query) == "completed", 190, "cron to put the job back")
    owners = host.check_output("stat --format %%U %s/*.db*", DATA)
    assert set(owners.split()) == {"slideshow"}


def test_swap_outlives_a_reboot(host):
    swap = f"/mnt/swap/{host.check_output('hostname')}"
    assert host.file(swap).mode == 0o600
    host.run("swapoff --all")  # the other host's files are out of reach: not an error of ours
    assert swap not in host.file("/proc/swaps").content_string
    host.check_output("swapon --all")  # as at boot: what fstab says
    assert swap in host.file("/proc/swaps").content_string
    assert host.file("/proc/sys/vm/swappiness").content_string.strip() == "10"


def test_a_task_that_eats_memory_is_ended_and_the_worker_serves_on(host, show, send, touched, wait_for):
    main = show(WORKER, "MainPID")["MainPID"]
    # More than memory_max and all the swap of this machine: where cgroup v1 rules, swap is not fenced.
    swap = sum(int(line.split()[2]) for line in host.file("/proc/swaps").content_string.splitlines()[1:]) // 1024
    send("eat_memory", 900 + swap)
    send("touch", "after-the-meal")
    wait_for(lambda: touched("after-the-meal"), 90, "the task behind the one that eats memory")
    assert "WorkerLostError" in host.check_output("journalctl --unit %s --no-pager", WORKER)
    assert show(WORKER, "MainPID", "ActiveState") == {"MainPID": main, "ActiveState": "active"}


def test_the_watchdog_leaves_a_busy_and_an_idle_worker_alone(show, send, touched, wait_for):
    before = show(WORKER, "MainPID", "NRestarts")
    send("touch", "long-task", 3 * WATCHDOG)
    wait_for(lambda: touched("long-task"), 4 * WATCHDOG, "the long task")
    assert show(WORKER, "MainPID", "NRestarts") == before
    time.sleep(3 * WATCHDOG)  # idle: nothing happens, and that is the point
    assert show(WORKER, "MainPID", "NRestarts") == before


def test_a_hung_worker_is_back_at_work(host, show, send, touched, wait_for):
    before = show(WORKER, "MainPID")["MainPID"]
    host.check_output("kill -STOP %s", before)

    def back():
        now = show(WORKER, "MainPID", "ActiveState")
        return now["ActiveState"] == "active" and now["MainPID"] != before

    wait_for(back, WATCHDOG + 15, "a new worker")
    send("touch", "after-the-hang")
    wait_for(lambda: touched("after-the-hang"), 10, "the new worker to take a task")
