"""Every option of a worker and of a beat is either in what is exported, or named in a warning."""

import re

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import KINDS, SANDBOX
from ansible_collections.evenkeel.celery.plugins.module_utils._export.options import TARGETS
from exports import exported, warned
from workers import beat, worker

MAKE = {"worker": worker, "beat": beat}
# A value that is not the default, where the type alone does not tell one.
VALUES = {
    "pool": "solo",
    "log_level": "debug",
    "oom_policy": "stop",
    "restart": "on-failure",
    "unenforced": "fail",
    "stale_workers": "kill",
    "stale_beats": "report",
    "log_file": True,
    "log_max_size": "7M",
    "environment": {"A": "1"},
    "autoscale": [8, 2],
    "settings": {"task_acks_late": True},
    "profile": {"task_memory": "300M"},
    "after": ["redis.service"],
    "restart_on": ["/srv/shop/current"],
    "preflight_command": ["venv/bin/check"],
    "writable_paths": ["/srv/data"],
    "sandbox": {**SANDBOX, "PrivateDevices": False},
    "scheduler": "shop.beat:Scheduler",
    "executable": "/srv/shop/venv/bin/celery",
    "directory": "/srv/other",
    "name": "other",
}
OF_TYPE = {"str": "x", "int": 7, "size": "300M", "duration": "77s", "bool": True, "list": ["x"], "dict": {"x": "x"}}
# What another option has to have for this one to be of any use.
BESIDE = {"log_max_size": {"log_file": True}, "memory_swap_max": {"memory_max": "300M"}}
OPTIONS = [(kind, option) for kind in KINDS for option in KINDS[kind]]


def value(option):
    if option.default is True:
        return False
    return VALUES.get(option.name, OF_TYPE.get(option.type))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("kind", "option"), OPTIONS, ids=lambda each: getattr(each, "name", each))
def test_no_option_is_dropped_silently(target, kind, option):
    beside = BESIDE.get(option.name, {})
    without = MAKE[kind](**{"memory_max": "1G", **beside})
    changed = MAKE[kind](**{"memory_max": "1G", **beside, option.name: value(option)})
    files = exported(target, without) != exported(target, changed)
    assert files or named(option.name, warned(target, changed))


def named(option, warnings):
    """Whether a warning is about the option: it begins with it, after the service's name."""
    return any(re.match(rf"\w+: {option}\b", warning) for warning in warnings)


def test_the_options_of_the_walk_are_not_the_defaults():
    assert all(value(option) not in (None, option.default) for _kind, option in OPTIONS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_warning_is_given_once_for_all_services_that_it_is_about(target):
    warnings = warned(target, worker(name="a", restart_sec="9s"), worker(name="b", restart_sec="9s"), worker(name="c"))
    assert [each for each in warnings if "restart_sec" in each] == [
        f"a, b: restart_sec can't be set: {NAMES[target]} itself chooses how long it waits before a restart."
    ]


NAMES = {"compose": "Docker", "kubernetes": "Kubernetes", "render": "Render"}


def one(target, instance, **options):
    return "\n".join(warned(target, instance, **options))


@pytest.mark.parametrize("target", TARGETS)
def test_a_broker_on_loopback_is_named(target):
    url = {"CELERY_BROKER_URL": "redis://:geheim@127.0.0.1:6379/0"}
    assert "CELERY_BROKER_URL is on 127.0.0.1" in one(target, worker(environment=url))
    assert "geheim" not in one(target, worker(environment=url))
    assert "127.0.0.1" not in one(target, worker(environment={"CELERY_BROKER_URL": "redis://redis.internal:6379/0"}))


def test_a_development_broker_takes_the_place_of_one_on_loopback():
    url = {"CELERY_BROKER_URL": "redis://127.0.0.1:6379/0"}
    assert "127.0.0.1" not in one("compose", worker(environment=url), broker="redis:7")


@pytest.mark.parametrize("target", TARGETS)
def test_the_schedule_of_a_beat_is_gone_with_its_container_unless_it_has_a_volume_or_a_database(target):
    assert "the schedule file is gone" in one(target, beat())
    assert "the schedule file" not in one(target, worker())
    database = beat(scheduler="django_celery_beat.schedulers:DatabaseScheduler")
    assert "the schedule file" not in one(target, database)
    volumes = {"workers": {"b": {"volumes": {"/var/lib/evenkeel/beat/b": "schedule"}}}}
    assert "the schedule file" not in one(target, beat(), **volumes)


def test_the_oom_policy_that_kubernetes_does_not_have_is_named_although_it_is_the_default():
    assert "oom_policy continue can't be had" in one("kubernetes", worker(memory_max="1G"))
    assert "oom_policy" not in one("compose", worker(memory_max="1G"))


def test_a_stop_of_more_than_ten_minutes_is_too_long_for_a_drain():
    assert "a stop may take 1830 s" in one("kubernetes", worker(time_limit="30min"))
    assert "a stop may take" not in one("kubernetes", worker(time_limit="5min"))


def test_render_loses_or_hands_back_what_takes_longer_than_five_minutes():
    late = worker(time_limit="30min", settings={"task_acks_late": True})
    assert "300 s for a stop, not 1830: longer tasks are handed back" in one("render", late)
    assert "longer tasks are lost" in one("render", worker(time_limit="30min"))
    assert "for a stop" not in one("render", worker(time_limit="4min"))


def test_a_plan_of_render_that_is_larger_than_the_memory_limit_is_named():
    assert "memory_max 1G becomes 2G, the memory of the plan standard" in one("render", worker(memory_max="1G"))
    assert "memory_max" not in one("render", worker(memory_max="2G"))


def test_container_options_of_other_platforms_are_named():
    workers = {"w": {"cpu": "1", "node_selector": {"disk": "ssd"}, "plan": "pro", "gpu": 1}}
    named = {target: one(target, worker(), workers=workers) for target in TARGETS}
    has = {
        target: [option for option in ("cpu", "node_selector", "plan", "gpu") if f"{option} of celery" in named[target]]
        for target in TARGETS
    }
    assert has == {
        "compose": ["cpu", "node_selector", "plan"],
        "kubernetes": ["plan"],
        "render": ["cpu", "node_selector", "gpu"],
    }


def test_a_gpu_is_what_private_devices_is_off_for():
    instance = worker(sandbox={"PrivateDevices": False})
    assert "PrivateDevices" in one("kubernetes", instance)
    assert "PrivateDevices" not in one("kubernetes", instance, workers={"w": {"gpu": 1}})


@pytest.mark.parametrize(
    ("directive", "on"),
    [("PrivateTmp", TARGETS), ("ProtectSystem", ("render",)), ("RestrictRealtime", TARGETS)],
)
def test_a_part_of_the_sandbox_that_a_container_does_not_have_is_named(directive, on):
    instance = worker(sandbox={directive: False})
    assert tuple(target for target in TARGETS if f"sandbox: {directive} can't be set" in one(target, instance)) == on


DATA = {"volumes": {"/data": "data"}}


@pytest.mark.parametrize(
    ("workers", "warning"),
    [
        ({"a": DATA}, None),
        ({"a": DATA, "b": {"volumes": {"/data": "other"}}}, None),
        ({"a": {**DATA, "autoscale": {"max": 1}}}, None),
        ({"a": {**DATA, "replicas": 2}}, "a: the claim data has to be ReadWriteMany: up to 2 pods use it."),
        (
            {"a": {**DATA, "autoscale": {"max": 4}}, "b": DATA},
            "all services: the claim data has to be ReadWriteMany: up to 5 pods use it.",
        ),
    ],
)
def test_a_claim_that_several_pods_use_is_named(workers, warning):
    environment = {"CELERY_BROKER_URL": "redis://redis/0"}
    made = [worker(name=name, writable_paths=["/data"], environment=environment) for name in workers]
    assert [each for each in warned("kubernetes", *made, workers=workers) if "ReadWriteMany" in each] == (
        [warning] if warning else []
    )
    assert "ReadWriteMany" not in "\n".join(warned("compose", *made, workers=workers))


def test_the_user_of_the_container_is_named():
    assert "w: user is a user of the servers. The container runs as UID 7, GID 10001." in warned(
        "kubernetes", worker(user="shop"), defaults={"uid": 7}
    )


def test_variables_that_no_service_has_are_named():
    assert "celery_export_plain: no service has the variables B." in warned(
        "compose", worker(environment={"A": "1"}), plain=["A", "B"]
    )


def test_a_shared_hash_of_unacknowledged_messages_is_named():
    environment = {"CELERY_BROKER_URL": "redis://redis/0"}
    settings = {"broker_transport_options": {"unacked_key": "mine"}}
    workers = [worker(name=name, environment=environment, settings=settings) for name in "ab"]
    warnings = "\n".join(warned("kubernetes", *workers, defaults={"autoscale": {"max": 2}}))
    assert "a, b: they share the unacked_key mine" in warnings
    assert "only with task_acks_late and prefetch_multiplier 1" in warnings
