"""The repaired server at work: processes, kernel, databases, and the counts of the image API."""

import json

import pytest

WORKER = "celery-worker"
WATCHDOG, ABORT_TIMEOUT, RESTART_SEC = 10, 10, 5  # seconds; converge.yml, TimeoutAbortSec, the default
DATA = "/opt/slideshow/data"
JOBS = f"{DATA}/jobs.db"


@pytest.fixture
def count(sqlite):
    """The number of rows of a table with a status."""

    def run(database, table, status):
        query = f"SELECT count(*) FROM {table} WHERE status = '{status}'"
        return int(sqlite(f"{DATA}/{database}.db", query))

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


def test_one_worker_with_one_child_as_the_ordinary_user(server, wait_for):
    main = server.show(WORKER, "MainPID")["MainPID"]

    def alone():
        """Stale workers would be found, too."""
        family = [main, *server.children(main)]
        return family if len(family) == 2 and set(_workers(server.host)) == set(family) else None

    family = wait_for(alone, "one worker with one child, and no other")
    assert set(server.check_output("ps -o user= -p %s", ",".join(family)).split()) == {"slideshow"}


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


def test_the_other_applications_worker_is_not_restarted(host, show):
    before = host.file("/root/snapshot.before").content_string
    other = show("photo-album", "ActiveState", "MainPID", "NRestarts")
    assert (other["ActiveState"], other["NRestarts"]) == ("active", "0")
    assert f"{other['MainPID']} photo_album" in " ".join(before.split())


def test_jobs_are_made_with_many_calls_at_once_and_none_is_refused(host, wait_for):
    host.check_output("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=40&scale=20'")
    job = _api(host, "http://127.0.0.1:8080/api/jobs", {"images": 30})
    batch = _api(
        host, "http://127.0.0.1:8080/api/jobs", {"images": 2, "links": ["https://a.example", "https://b.example"]}
    )

    def completed(kind, row):
        return _api(host, f"http://127.0.0.1:8080/api/{kind}/{row['id']}")["status"] == "completed"

    wait_for(lambda: completed("jobs", job) and completed("batches", batch), "the job and the batch")
    stats = _api(host, "http://127.0.0.1:8089/stats")
    assert 1 < stats["highest_parallel"] <= 20  # all threads of the application, if the machine is fast enough
    assert stats["refused"] == 0
    assert stats["served"] == 34


def test_the_stuck_jobs_are_cleaned_up(sqlite, count):
    gone = "SELECT count(*) FROM jobs WHERE id LIKE '77cfa3cd%' OR id LIKE 'b49d06f6%'"
    assert sqlite(JOBS, gone) == "0"
    for database, table in (("jobs", "jobs"), ("batch_processing", "batches"), ("batch_processing", "links")):
        assert count(database, table, "processing") == 0


def test_cron_resets_a_stuck_job_and_it_is_completed(host, sqlite, wait_for):
    sqlite(
        JOBS,
        "INSERT INTO jobs (id, status, images, created_at, updated_at)"
        " VALUES ('stuck-for-cron', 'processing', 1, datetime('now', '-2 hours'), datetime('now', '-2 hours'))",
        user="slideshow",
    )
    status = "SELECT status FROM jobs WHERE id = 'stuck-for-cron'"
    wait_for(lambda: sqlite(JOBS, status) == "completed", "cron to put the job back")
    owners = host.check_output("stat --format %%U %s/*.db*", DATA)
    assert set(owners.split()) == {"slideshow"}


def test_swap_is_enabled_at_boot(host):
    swap = f"/mnt/swap/{host.check_output('hostname')}"
    assert host.file(swap).mode == 0o600
    host.run("swapoff --all")  # fails for the other host's files, which are not visible here
    assert swap not in host.file("/proc/swaps").content_string
    host.check_output("swapon --all")  # as at boot: what fstab says
    assert swap in host.file("/proc/swaps").content_string
    assert host.file("/proc/sys/vm/swappiness").content_string.strip() == "10"


def test_a_task_above_the_memory_limit_is_killed_and_the_worker_continues(server, send, touched, wait_for):
    before = server.run_of(WORKER).id
    server.keep_out_of_swap(WORKER)
    send("eat_memory", 900)
    send("touch", "after-the-meal")
    wait_for(lambda: touched("after-the-meal"), "the task behind the one that eats memory")
    wait_for(lambda: "WorkerLostError" in server.journal(WORKER), "the failure of the one that eats memory")
    now = server.run_of(WORKER)
    assert (now.id, now.state) == (before, "active")


def test_the_watchdog_leaves_a_busy_and_an_idle_worker_alone(server, send, touched, wait_for):
    before = server.run_of(WORKER)
    send("touch", "long-task", 3 * WATCHDOG)
    wait_for(lambda: touched("long-task"), "the long task")
    assert server.run_of(WORKER) == before
    idle = server.now()
    wait_for(lambda: server.now() > idle + 3 * WATCHDOG, "the time in which a wrong restart would come")
    assert server.run_of(WORKER) == before


def test_a_hung_worker_is_restarted_and_takes_tasks(server, send, touched, wait_for):
    before, hung = server.run_of(WORKER).id, server.now()
    server.check_output("kill -STOP %s", server.show(WORKER, "MainPID")["MainPID"])
    run = server.next_run(WORKER, before)
    assert run.began - hung <= WATCHDOG + ABORT_TIMEOUT + RESTART_SEC + run.slowness
    send("touch", "after-the-hang")
    wait_for(lambda: touched("after-the-hang"), "the new worker to take a task")
