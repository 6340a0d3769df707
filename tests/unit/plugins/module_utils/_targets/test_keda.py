"""KEDA's objects: which lists are counted, and how long an idle replica stays."""

import pytest
from exports import documents, exported, refused
from workers import worker

SCALED = {"workers": {"w": {"autoscale": {"max": 4, "tasks": 2}}}}
REDIS = "redis://user:geheim@redis.internal:6380/3"


def at(url, **options):
    return worker(environment={"CELERY_BROKER_URL": url}, **options)


def scaled(instance, **options):
    made = documents("kubernetes", instance, **SCALED, **options)
    return {each["kind"]: each["spec"] for each in made["w.yaml"]}["ScaledObject"]


def lists(instance):
    return [each["metadata"]["listName"] for each in scaled(instance)["triggers"]]


def test_all_priorities_of_all_queues_are_added_up():
    made = scaled(at(REDIS, queues=["a", "b"]))
    assert lists(at(REDIS, queues=["a", "b"])) == [
        f"{queue}{end}" for queue in "ab" for end in ("", "\x06\x163", "\x06\x166", "\x06\x169")
    ]
    modifiers = made["advanced"]["scalingModifiers"]
    assert modifiers["formula"] == "q0 + q1 + q2 + q3 + q4 + q5 + q6 + q7"
    assert modifiers["target"] == "2"


def test_a_worker_without_queues_has_the_default_queue():
    assert lists(at(REDIS))[0] == "celery"


def test_lists_are_named_as_the_transport_options_say():
    transport = {"priority_steps": [0, 5], "sep": ":", "global_keyprefix": "shop.", "unacked_key": "mine"}
    instance = at(REDIS, queues=["a"], settings={"broker_transport_options": transport})
    assert lists(instance) == ["shop.a", "shop.a:5", "shop.mine"]


def test_nothing_of_a_secret_url_but_the_database_is_in_a_file():
    texts = "".join(exported("kubernetes", at(REDIS), **SCALED).values())
    assert not [secret for secret in ("geheim", "redis.internal", "6380") if secret in texts]
    assert 'databaseIndex: "3"' in texts


def test_the_login_is_in_the_secret():
    made = documents("kubernetes", at(REDIS), **SCALED)
    spec = made["keda-authentication.yaml"][0]["spec"]["secretTargetRef"]
    assert {each["parameter"]: each["key"] for each in spec} == {
        "address": "CELERY_BROKER_ADDRESS",
        "username": "CELERY_BROKER_USERNAME",
        "password": "CELERY_BROKER_PASSWORD",
    }
    assert {each["key"] for each in spec} <= set(made["secret.example.yaml"][0]["stringData"])


def test_a_plain_url_without_a_login_is_in_the_trigger():
    made = documents("kubernetes", at("rediss://redis.internal"), plain=["CELERY_BROKER_URL"], **SCALED)
    assert "keda-authentication.yaml" not in made
    trigger = made["w.yaml"][2]["spec"]["triggers"][0]
    assert trigger["metadata"]["address"] == "redis.internal:6379"
    assert trigger["metadata"]["enableTLS"] == "true"


def test_rabbitmq_is_read_from_the_worker_s_own_variable():
    made = scaled(at("amqp://u:geheim@rabbit/shop", queues=["a"]))
    assert made["triggers"] == [
        {
            "type": "rabbitmq",
            "name": "q0",
            "metadata": {"hostFromEnv": "CELERY_BROKER_URL", "queueName": "a", "mode": "QueueLength", "value": "2"},
        }
    ]
    assert "scalingModifiers" not in made["advanced"]


def test_sqs_is_asked_by_the_pod_s_identity():
    transport = {
        "region": "eu-central-1",
        "queue_name_prefix": "shop-",
        "predefined_queues": {"b": {"url": "https://b"}},
    }
    instance = at("sqs://", queues=["a", "b"], settings={"broker_transport_options": transport})
    made = documents("kubernetes", instance, **SCALED)
    metadata = [each["metadata"] for each in made["w.yaml"][2]["spec"]["triggers"]]
    assert [each["queueURL"] for each in metadata] == ["shop-a", "https://b"]
    assert made["keda-authentication.yaml"][0]["spec"] == {"podIdentity": {"provider": "aws"}}


@pytest.mark.parametrize(("limit", "window"), [(None, 300), ("1min", 300), ("30min", 1800), ("3h", 3600)])
def test_an_idle_replica_stays_for_as_long_as_a_task_may_take(limit, window):
    made = scaled(at(REDIS, time_limit=limit))
    assert made["cooldownPeriod"] == window
    behavior = made["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == window


def test_the_deployment_leaves_the_replicas_to_keda():
    made = documents("kubernetes", at(REDIS), **SCALED)["w.yaml"]
    assert "replicas" not in made[0]["spec"]
    assert made[1]["kind"] == "PodDisruptionBudget"


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        (worker(), "w: autoscale needs the broker's URL"),
        (at("sentinel://s/0"), "sentinel:// is not known here"),
        (at("redis+socket:///tmp/r"), "redis+socket:// is not known here"),
        (at("sqs://"), "the region of the queues is not known"),
        (worker(settings={"broker_url": "amqp://rabbit"}), "KEDA reads RabbitMQ's URL from CELERY_BROKER_URL"),
    ],
)
def test_a_broker_that_can_not_be_counted_is_refused(instance, says):
    assert says in "\n".join(refused("kubernetes", instance, **SCALED))
    assert refused("compose", instance, **SCALED) == []


def test_two_brokers_are_refused():
    other = worker(name="v", environment={"CELERY_BROKER_URL": "redis://other/0"})
    [error] = refused("kubernetes", at(REDIS), other, defaults={"autoscale": {"max": 2}})
    assert "different brokers" in error
    assert "geheim" not in error
