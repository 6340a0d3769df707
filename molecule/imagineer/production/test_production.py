"""Four workers and beat on two servers: the document's table, real work, faults, and the way back."""

import json
import re

import pytest

# The tests use both servers, one test after another.
pytestmark = pytest.mark.xdist_group("both servers")
GIB = 1 << 30
SERVICES = {"default": (2, GIB // 2), "scraping": (2, 2 * GIB), "labeling": (4, GIB)}
BEAT, PASSWORD = "imagineer-beat", "only-for-the-demo"
SCHEDULE = "/var/lib/evenkeel/beat/imagineer-beat/schedule.pickle"
# As if the disk had last been looked at two days ago.
MISS = """
import pickle, sys
from datetime import timedelta
with open(sys.argv[1], "rb") as file:
    stored = pickle.load(file)
stored["entries"]["disk-usage"].last_run_at -= timedelta(days=2)
with open(sys.argv[1], "wb") as file:
    pickle.dump(stored, file)
"""


@pytest.fixture(scope="module")
def services(servers):
    return next(server for server in servers if server.name.endswith("12"))


@pytest.fixture(scope="module")
def training(servers):
    return next(server for server in servers if server.name.endswith("13"))


@pytest.fixture(scope="module")
def api(services):
    """Calls the API, on its server."""
    return lambda *words: json.loads(services.check_output("/opt/imagineer/api " + " ".join(words)))


@pytest.fixture(scope="module")
def kites(api):
    """A dataset, scraped and labeled."""
    assert api("scrape", "kites", "http://127.0.0.1:8090/") == 16
    return api("label", "kites")


@pytest.fixture
def train(api, kites, services):
    """Sends the training of a run on the dataset, and waits until it has this status."""

    def run(status, *options):
        name = f"run{services.check_output('date +%s%N')}"
        services.check_output("cp -r /var/lib/imagineer/datasets/kites /var/lib/imagineer/datasets/%s", name)
        api("train", name, *options)
        return name, services.wait_for(lambda: _is(api, name, status), f"{name} to be {status}")

    return run


def _is(api, run, status):
    fields = api("run", run)
    return fields if fields.get("status") == status else None


def _inspect(services, what, *nodes):
    # With --destination, the time is long enough for a slow machine, and a quick answer ends the wait.
    command = f"venv/bin/celery -A server.celery_app.celery inspect --timeout=60 --json --destination={','.join(nodes)}"
    environment = "set -a; . /etc/imagineer/api.env; cd /opt/imagineer"
    return json.loads(services.check_output(f"{environment}; {command} {what}"))


def test_each_queue_has_its_worker_as_the_documents_table_says(services, training):
    table = {f"imagineer-{queue}@{services.name}": (queue, *row) for queue, row in SERVICES.items()}
    table[f"imagineer-training@{training.name}"] = ("training", 1, GIB // 2)
    queues = _inspect(services, "active_queues", *table)
    stats = _inspect(services, "stats", *table)
    for node, (queue, concurrency, memory) in table.items():
        assert [each["name"] for each in queues[node]] == [queue]
        assert stats[node]["pool"]["max-concurrency"] == concurrency
        assert stats[node]["prefetch_count"] == concurrency, "a multiplier of 1"
        assert stats[node]["pool"]["timeouts"] == [25 * 60, 30 * 60]
        server = training if queue == "training" else services
        unit = server.show(f"imagineer-{queue}", "User", "MemoryMax", "TimeoutStopUSec")
        assert unit == {"User": "imagineer", "MemoryMax": str(memory), "TimeoutStopUSec": "30min 30s"}


def test_redis_listens_only_inside_and_only_to_those_who_know_the_password(services, training):
    """And the password is in no unit, as it is with the document's Environment=."""
    listening = services.check_output("ss --listening --tcp --numeric --no-header 'sport = :6379'")
    inside = services.check_output("sed -n 's/ redis.internal$//p' /etc/hosts")
    assert set(re.findall(r"(\S+):6379", listening)) == {"127.0.0.1", inside}
    assert "NOAUTH" in training.check_output("redis-cli -h redis.internal ping")
    for server in (services, training):
        units = server.check_output("systemctl list-units --plain --no-legend 'imagineer-*' | cut -d ' ' -f 1").split()
        assert PASSWORD not in server.check_output(f"systemctl show {' '.join(units)}; ps -ef")


def test_a_gallery_is_scraped_labeled_and_trained_on_the_other_server(kites, train, training):
    assert set(kites.values()) == {"red", "green", "blue", "white"}
    _, fields = train("completed", "--steps=50")
    assert float(fields["loss"]) < float(fields["first_loss"])
    training.wait_for(lambda: "train_lora" in training.journal("imagineer-training"), "its journal")
    assert "operation=- queue=training" in training.journal("imagineer-training")


def test_a_training_is_finished_before_its_worker_restarts(train, api, training, wait_for):
    before = training.run_of("imagineer-training").id
    run, _ = train("running", "--steps=40", "--pause=0.25")
    training.check_output("systemctl restart --no-block imagineer-training")
    fields = wait_for(lambda: _is(api, run, "completed"), "the training")
    assert (fields["starts"], fields["step"]) == ("1", "40")
    training.next_run("imagineer-training", before)
    train("completed", "--steps=1")


def test_a_model_that_is_too_large_costs_only_its_training(train, api, training, services, wait_for):
    before = training.run_of("imagineer-training")
    training.keep_out_of_swap("imagineer-training")
    run, _ = train("running", "--checkpoint-mb=800")
    wait_for(lambda: "signal 9 (SIGKILL)" in training.journal("imagineer-training"), "the kill")
    train("completed", "--steps=1")
    assert training.run_of("imagineer-training") == before
    # The document's purge: nobody else would say that it has failed.
    services.check_output("REDISCLI_AUTH=%s redis-cli hset imagineer:run:%s updated 1", PASSWORD, run)
    assert api("call", "maintenance.purge_stale_training")["abandoned"] == 1
    assert api("run", run)["status"] == "failed"


def test_beat_runs_on_one_server_and_makes_up_for_a_sample_that_was_missed(services, training, wait_for):
    assert services.show(BEAT, "ActiveState", "Type") == {"ActiveState": "active", "Type": "notify"}
    assert training.show(BEAT, "LoadState") == {"LoadState": "not-found"}
    python = "sudo -u imagineer /opt/imagineer/venv/bin/python -B"
    services.check_output("systemctl stop %s", BEAT)
    services.check_output(f"cd /opt/imagineer && {python} -c %s %s", MISS, SCHEDULE)
    begun = services.now()
    services.check_output("systemctl start %s", BEAT)
    succeeded = re.compile(r"record_disk_usage\[\S+\] succeeded")
    wait_for(lambda: succeeded.search(services.journal("imagineer-default", since=begun)), "the disk to be looked at")


def test_the_default_worker_sends_no_schedule_of_its_own(services):
    """The document's second way, --beat, would send everything twice once there are two such workers."""
    main = services.show("imagineer-default", "MainPID")["MainPID"]
    assert "beat" not in services.check_output("tr '\\0' ' ' < /proc/%s/cmdline", main)


def test_check_mode_shows_the_schedule_and_changes_nothing(services, rollout):
    run = rollout("molecule/imagineer/converge.yml", "--check")
    output = " ".join(run.stdout.split())
    assert run.returncode == 0, output
    assert not re.search(r"changed=[1-9]", output)
    for task in ("purge_stale_training", "purge_stale_scrapes", "record_disk_usage"):
        assert f"server.tasks.maintenance.{task}" in output


def test_the_documents_own_units_are_restored_and_run(services, training, rollout):
    run = rollout("molecule/imagineer/original.yml")
    assert run.returncode == 0, run.stdout
    assert services.show(BEAT, "LoadState") == {"LoadState": "not-found"}
    for server, unit in ((training, "imagineer-training"), (services, "imagineer-labeling")):
        assert "Type=simple\nEnvironment=" in server.host.file(f"/etc/systemd/system/{unit}.service").content_string
        assert server.show(unit, "ActiveState", "User") == {"ActiveState": "active", "User": ""}
