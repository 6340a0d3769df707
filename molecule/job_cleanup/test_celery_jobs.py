"""Jobs of a Celery application: those that a worker is executing are left alone, lost ones are sent again."""

import json

import pytest

SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
CONFIG, DATABASE = "/opt/shop/data/cleanup.json", "/opt/shop/data/orders.db"
ORDERS = {
    "name": "orders",
    "path": DATABASE,
    "table": "orders",
    "attempts_column": "tries",
    "max_attempts": 3,
    "celery": {
        "app": "shop",
        "directory": "/opt/shop",
        "python": "/opt/shop/venv/bin/python",
        "environment_file": "/etc/evenkeel/shop.env",
    },
    "requeue": {"task": "shop.sleep", "args": ["{id}"], "queue": "shop"},
}
CREATE_WORK = "CREATE TABLE work (id INTEGER PRIMARY KEY, status, updated_at, tries INTEGER DEFAULT 0)"


@pytest.fixture
def sql(sqlite):
    return lambda query: sqlite(DATABASE, query, user="shop")


@pytest.fixture
def stick(sql):
    """Orders that look stuck for two hours, and no others. The task of each has the order's id."""

    def add(*keys, tries=0):
        sql("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, status, updated_at, tries, task)")
        sql("DELETE FROM orders")
        for key in keys:
            sql(f"INSERT INTO orders VALUES ('{key}', 'processing', datetime('now', '-2 hours'), {tries}, '{key}')")

    return add


@pytest.fixture
def statuses(sql):
    return lambda: dict(line.split("|") for line in sql("SELECT id, status FROM orders").split())


@pytest.fixture
def clean_up(server):
    def run(*options, requeue=(), **celery):
        # With named workers, the timeout is long enough for a slow machine, and a quick answer ends the wait.
        named = {"workers": ["shop@orders"], "timeout": 30}
        changed = {"celery": {**ORDERS["celery"], **named, **celery}, "requeue": {**ORDERS["requeue"], **dict(requeue)}}
        config = {"databases": [{**ORDERS, **changed}]}
        server.check_output("echo %s > %s", json.dumps(config), CONFIG)
        return server.run(f"{SCRIPT} --config {CONFIG} {' '.join(options)}")

    return run


@pytest.fixture
def unnamed(server, clean_up):
    """A run without named workers. If none answers in time, it is repeated."""

    def run():
        result = clean_up(workers=[], timeout=5)
        return None if "no worker answered within 5 s" in result.stderr else result

    return lambda: server.wait_for(run, "a worker to answer in time")


@pytest.fixture
def done_once(server, wait_for):
    def check(*keys):
        wait_for(lambda: server.done(*keys), f"{keys} to be done")

    return check


@pytest.fixture
def namesakes(server, is_named):
    """Two workers of two queues without -n, as most tutorials have them: both are celery@HOST."""
    queues = [f"alike-{number}-{is_named}" for number in (1, 2)]
    for queue in queues:
        server.check_output(
            f"systemd-run --unit {queue} --uid shop -p WorkingDirectory=/opt/shop -p KillMode=mixed"
            " -p TimeoutStopSec=1 -p EnvironmentFile=/etc/evenkeel/shop.env"
            f" /opt/shop/venv/bin/celery -A shop worker -Q {queue} -c 1"
        )
    yield queues
    server.check_output(f"systemctl stop {' '.join(queues)}")


@pytest.mark.parametrize("is_named", [False, True])
def test_jobs_of_workers_that_share_a_node_name_are_not_stuck(  # noqa: PLR0913, PLR0917
    server, stick, statuses, clean_up, done_once, namesakes, is_named
):
    lost, jobs = f"lost-{is_named}", [f"longer-{queue}" for queue in namesakes]
    stick(lost, *jobs)
    server.hold("longer-", *namesakes)

    name = f"celery@{server.check_output('hostname')}"
    celery = {"workers": ["shop@orders", name] if is_named else [], "timeout": 20}
    result = clean_up(**celery)
    assert result.rc == 4, result.stderr
    assert f"2 workers share the name {name}. Give each worker a different name" in result.stdout
    assert statuses() == {lost: "pending", **dict.fromkeys(jobs, "processing")}
    done_once(lost)


def test_a_job_that_a_worker_executes_is_not_stuck(server, stick, statuses, clean_up, done_once):
    """Longer than the threshold; the second waits in the same worker, reserved."""
    stick("longshop", "nextshop", "lost")
    server.hold("long", "shop")
    server.send("next", 0, "shop")
    reserved = "cd /opt/shop && venv/bin/celery -A shop inspect --timeout=60 --destination=shop@orders reserved"
    server.wait_for(lambda: "nextshop" in server.run(reserved).stdout, "the worker to reserve it")

    result = clean_up()
    assert result.rc == 4, result.stderr
    assert "orders  longshop  left alone" in result.stdout
    assert "is executing it" in result.stdout
    assert "has reserved it" in result.stdout
    assert statuses() == {"longshop": "processing", "nextshop": "processing", "lost": "pending"}
    server.release("longshop")
    done_once("longshop", "nextshop", "lost")


def test_a_lost_job_is_requeued_once_and_fails_after_max_attempts(sql, stick, statuses, unnamed, done_once):
    stick("again-1", "again-2")
    sql("INSERT INTO orders VALUES ('poison', 'processing', datetime('now', '-2 hours'), 3, NULL)")
    result = unnamed()
    assert result.rc == 0, result.stderr
    assert "2 in orders reset to pending and 1 in orders set to failed" in result.stdout
    assert "2 tasks sent" in result.stdout
    assert statuses() == {"again-1": "pending", "again-2": "pending", "poison": "failed"}
    done_once("again-1", "again-2")
    assert sql("SELECT tries FROM orders WHERE id = 'again-1'") == "1"


def test_the_task_of_a_job_may_start_later_and_is_known_by_the_id_in_its_row(sql, stick, clean_up):
    stick("later")
    result = clean_up("--json", task_id_column="task", requeue={"args": ["nobody"], "countdown": ["5min", "6min"]})
    (told,) = json.loads(result.stdout)["databases"]
    assert (told["sent"], told["changes"][0]["countdown"]) == (1, [300, 360]), result.stderr

    sql("UPDATE orders SET status = 'processing'")
    result = clean_up(task_id_column="task")
    assert result.rc == 4, result.stderr
    assert f"shop@orders has scheduled it (task {sql('SELECT task FROM orders')})" in result.stdout


def test_the_old_task_of_a_job_is_revoked(server, stick, clean_up, done_once):
    """It waits in a queue that no worker consumes. Once one does, it is dropped."""
    job = "dropped-parked"
    server.send("dropped-", 0, "parked")
    stick(job)
    result = clean_up(task_id_column="task", requeue={"revoke": True})
    assert "1 task sent" in result.stdout, result.stderr
    done_once(job)
    control = "/opt/shop/venv/bin/celery -A shop control --timeout=60 --destination=shop@orders"
    server.check_output(f"cd /opt/shop && {control} add_consumer parked")
    server.serve("parked")
    done_once(job)


def test_without_an_answer_nothing_is_reset_unless_unreachable_is_ignore(server, stick, statuses, clean_up, done_once):
    stick("unasked")
    server.check_output("systemctl stop shop")
    try:
        refused = clean_up(workers=[], timeout=2)
        assert refused.rc == 1
        assert "it is not known what the workers are doing: no worker answered within 2 s" in refused.stderr
        assert statuses() == {"unasked": "processing"}
        result = clean_up(unreachable="ignore", timeout=2)
        assert result.rc == 0, result.stderr
        assert "it is not known what the workers are doing" in result.stdout
        assert statuses() == {"unasked": "pending"}
    finally:
        server.check_output("systemctl start shop")
    done_once("unasked")


def test_a_named_worker_has_to_answer(stick, statuses, clean_up):
    stick("asked")
    refused = clean_up(workers=["shop@somewhere-else"], timeout=2)
    assert "no answer from shop@somewhere-else" in refused.stderr
    assert statuses() == {"asked": "processing"}


def test_a_job_whose_task_cannot_be_sent_stays_stuck_for_the_next_run(server, stick, statuses, clean_up, done_once):
    stick("unsent-1", "unsent-2")
    server.check_output("systemctl stop broker@6380")
    try:
        failed = clean_up(unreachable="ignore", timeout=2)
        assert failed.rc == 1
        assert "tasks can't be sent" in failed.stderr
        assert "2 rows were restored" in failed.stderr
        assert statuses() == {"unsent-1": "processing", "unsent-2": "processing"}
    finally:
        server.check_output("systemctl start broker@6380")
    # Celery 5.3 may take no tasks after an outage, and this worker has no watchdog.
    server.check_output("systemctl restart shop")
    server.wait_for(lambda: clean_up().rc == 0, "the worker to answer")
    done_once("unsent-1", "unsent-2")


def test_an_application_under_load_loses_no_job_and_gets_no_error(server, sqlite):
    """The script runs again and again, beside itself, while workers take jobs and leave every third one stuck."""
    work = {"name": "work", "path": "/srv/app/work.db", "table": "work", "attempts_column": "tries", "busy_timeout": 60}
    config = json.dumps({"databases": [work]})
    server.check_output("echo %s > /srv/app/work.json", config)
    sqlite("/srv/app/work.db", CREATE_WORK, user="app")
    clean = f"until test -e /srv/app/stop; do {SCRIPT} --quiet --config /srv/app/work.json || exit; sleep 0.2; done"
    result = server.check_output(
        "runuser -u app -- sh -c %s & first=$!; runuser -u app -- sh -c %s & second=$!;"
        " runuser -u app -- python3 /opt/factory.py /srv/app/work.db; touch /srv/app/stop;"
        " wait $first && wait $second",
        clean,
        clean,
    )
    assert json.loads(result) == {"left": 0, "twice": 0, "errors": []}
