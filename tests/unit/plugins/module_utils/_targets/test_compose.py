"""Services in compose.yaml."""

import pytest
import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.command import command
from exports import documents, exported
from workers import beat, worker


def services(*instances, **options):
    return documents("compose", *instances, **options)["compose.yaml"][0]["services"]


def service(instance, **options):
    return services(instance, **options)[instance["name"]]


@pytest.mark.parametrize("instance", [worker(queues=["a", "b"], time_limit="9s"), beat(max_interval="9s")])
def test_the_command_line_is_that_of_systemd(instance):
    assert service(instance)["command"] == command(instance)


def test_what_compose_would_replace_is_taken_literally():
    instance = worker(environment={"A": "$HOME"}, settings={"task_routes": {"$x": 1}}, directory="/srv/$x")
    made = service(instance, plain=["A"])
    assert made["environment"]["A"] == "$$HOME"
    assert made["working_dir"] == "/srv/$$x"
    assert any("$$x" in word for word in made["command"])


def test_values_that_are_not_plain_are_references():
    texts = exported("compose", worker(environment={"A": "geheim", "B": "2"}), plain=["B"])
    assert "geheim" not in "".join(texts.values())
    made = yaml.safe_load(texts["compose.yaml"])["services"]["w"]["environment"]
    assert (made["A"], made["B"]) == ("${A:?set it in .env}", "2")
    assert "\nA=\n" in texts[".env.example"]


def test_a_variable_with_two_values_has_two_references():
    texts = exported("compose", worker(name="w-1", environment={"A": "1"}), worker(name="w-2", environment={"A": "2"}))
    made = yaml.safe_load(texts["compose.yaml"])["services"]
    assert made["w-1"]["environment"]["A"] == "${W_1__A:?set it in .env}"
    assert made["w-2"]["environment"]["A"] == "${W_2__A:?set it in .env}"
    assert "\nW_1__A=\n" in texts[".env.example"]


def test_limits_are_those_of_the_unit():
    made = service(
        worker(memory_max="1G", memory_swap_max="512M", oom_score_adj=100, stop_timeout="90s"),
        workers={"w": {"cpu_limit": "1500m"}},
    )
    assert (made["mem_limit"], made["memswap_limit"], made["cpus"]) == ("1024m", "1536m", 1.5)
    assert (made["oom_score_adj"], made["stop_grace_period"]) == (100, "90s")


def test_a_service_without_swap_has_as_much_for_both_as_memory():
    assert service(worker(memory_max="1G", memory_swap_max="0"))["memswap_limit"] == "1024m"


def test_the_sandbox_is_that_of_a_container():
    made = service(worker())
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]
    off = {"ProtectSystem": False, "CapabilityBoundingSet": False, "NoNewPrivileges": False}
    assert not {"read_only", "cap_drop", "security_opt"} & set(service(worker(sandbox=off)))


def test_the_probe_reads_the_heartbeat():
    test = service(worker(watchdog="20s", start_timeout="2min"))["healthcheck"]
    assert test["test"] == [
        *("CMD", "sh", "-c"),
        "test $$(($$(date +%s) - $$(date -r /tmp/evenkeel.heartbeat +%s))) -le 35",
    ]
    assert test["start_period"] == "120s"
    assert "healthcheck" not in service(worker(watchdog="0"))


def test_writable_paths_are_volumes_and_the_schedule_of_a_beat_is_kept_on_demand():
    made = documents("compose", beat(writable_paths=["/srv/data"]))["compose.yaml"][0]
    assert made["volumes"] == {"srv-data": {}}
    assert "srv-data:/srv/data" in made["services"]["b"]["volumes"]
    assert "/var/lib/evenkeel/beat/b:mode=0700,uid=10001,gid=10001" in made["services"]["b"]["tmpfs"]
    kept = {"b": {"volumes": {"/var/lib/evenkeel/beat/b": "schedule"}}}
    made = documents("compose", beat(), workers=kept)["compose.yaml"][0]
    assert made["volumes"] == {"schedule": {}}
    assert "schedule:/var/lib/evenkeel/beat/b" in made["services"]["b"]["volumes"]


def test_hosts_that_run_the_same_worker_are_its_replicas():
    assert services(worker(), worker())["w"]["scale"] == 2
    assert "scale" not in services(worker())["w"]
    assert services(worker(), worker(), workers={"w": {"replicas": 3}})["w"]["scale"] == 3


def test_a_rotated_log_file_is_a_rotated_log():
    made = service(worker(log_file=True, log_max_size="7M"))
    assert made["logging"] == {"driver": "local", "options": {"max-size": "7m", "max-file": "9"}}


@pytest.mark.parametrize(
    ("image", "url", "development"),
    [
        ("redis:7", "redis://:geheim@redis.internal:6380/3", "redis://redis:6379/3"),
        ("rabbitmq:4", "amqp://u:geheim@rabbit.internal/shop", "amqp://rabbitmq:5672/shop"),
    ],
)
def test_a_development_broker_takes_the_place_of_the_real_one(image, url, development):
    instance = worker(environment={"CELERY_BROKER_URL": url, "DATABASE_URL": "postgresql://u:geheim@db/shop"})
    texts = exported("compose", instance, broker=image)
    name = image.partition(":")[0]
    assert yaml.safe_load(texts["compose.yaml"])["services"][name]["profiles"] == ["development"]
    variables = dict(line.split("=") for line in texts[".env.example"].splitlines() if line and line[0] != "#")
    assert variables == {"COMPOSE_PROFILES": "development", "CELERY_BROKER_URL": development, "DATABASE_URL": ""}
    assert "geheim" not in "".join(texts.values())


def test_old_versions_of_compose_can_read_it():
    """docker-compose 1.29 of Debian 12 refuses a project's name, and conditions that it does not know."""
    made = documents("compose", worker(), beat(), broker="redis:7")["compose.yaml"][0]
    assert set(made) <= {"x-celery", "x-environment", "services", "volumes"}
    assert not any("depends_on" in each for each in made["services"].values())


def test_a_variable_that_is_empty_on_the_servers_may_be_empty():
    assert service(worker(environment={"A": ""}))["environment"]["A"] == "${A?set it in .env}"


def test_a_service_s_own_variables_come_first_as_on_a_server():
    instance = worker(environment={"PYTHONUNBUFFERED": "0", "PYTHONFAULTHANDLER": "geheim", "PYTHONPATH": "/srv/$x"})
    made = service(instance, plain=["PYTHONUNBUFFERED", "PYTHONPATH"])["environment"]
    assert made["PYTHONUNBUFFERED"] == "0"
    assert made["PYTHONFAULTHANDLER"].startswith("${PYTHONFAULTHANDLER")
    assert made["PYTHONPATH"] == "/srv/$$x:/evenkeel"
