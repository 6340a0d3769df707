"""Services in Kubernetes' manifests."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.command import command
from exports import documents, exported
from workers import beat, worker

PROBED = {"watchdog": "20s", "start_timeout": "2min"}


def objects(instance, **options):
    """The objects of a service, by their kinds."""
    made = documents("kubernetes", instance, **options)[f"{instance['name']}.yaml"]
    return {each["kind"]: each for each in made}


def deployment(instance, **options):
    return objects(instance, **options)["Deployment"]["spec"]


def pod(instance, **options):
    return deployment(instance, **options)["template"]["spec"]


def container(instance, **options):
    return pod(instance, **options)["containers"][0]


def variables(instance, **options):
    return {each["name"]: each for each in container(instance, **options)["env"]}


@pytest.mark.parametrize("instance", [worker(queues=["a", "b"], time_limit="9s"), beat(max_interval="9s")])
def test_the_command_line_is_that_of_systemd(instance):
    assert container(instance)["command"] == command(instance)


def test_what_kubernetes_would_replace_is_taken_literally():
    instance = worker(environment={"A": "$(HOME) $$"}, settings={"task_routes": {"$(x)": 1}})
    assert variables(instance, plain=["A"])["A"]["value"] == "$$(HOME) $$$$"
    assert any("$$(x)" in word for word in container(instance)["command"])
    # Not in probes, which Kubernetes takes as they are.
    assert "$((" in container(instance)["livenessProbe"]["exec"]["command"][2]


def test_values_that_are_not_plain_are_references():
    instance = worker(environment={"A": "geheim", "B": "2"})
    texts = exported("kubernetes", instance, plain=["B"])
    assert "geheim" not in "".join(texts.values())
    made = variables(instance, plain=["B"])
    assert made["A"]["valueFrom"] == {"secretKeyRef": {"name": "shop-env", "key": "A"}}
    assert made["B"]["value"] == "2"
    secret = documents("kubernetes", instance, plain=["B"])["secret.example.yaml"][0]
    assert (secret["metadata"]["name"], secret["stringData"]) == ("shop-env", {"A": ""})


def test_the_directory_of_our_programs_is_added_to_the_python_path():
    assert variables(worker())["PYTHONPATH"]["value"] == "/evenkeel"
    instance = worker(environment={"PYTHONPATH": "/srv/lib"})
    assert variables(instance, plain=["PYTHONPATH"])["PYTHONPATH"]["value"] == "/srv/lib:/evenkeel"


def test_a_container_has_no_rights():
    made, inner = pod(worker()), container(worker())
    assert made["securityContext"] == {
        **{"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert inner["securityContext"] == {
        **{"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "capabilities": {"drop": ["ALL"]},
    }
    assert made["automountServiceAccountToken"] is False
    assert made["enableServiceLinks"] is False


def test_what_tasks_leave_behind_is_reaped():
    assert pod(worker())["shareProcessNamespace"] is True


def test_the_scheduler_reserves_what_slows_a_worker_down_on_a_server():
    resources = container(worker(memory_high="1536M", memory_max="2G"), workers={"w": {"cpu": "500m"}})["resources"]
    assert resources == {"requests": {"memory": "1536Mi", "cpu": "500m"}, "limits": {"memory": "2Gi"}}
    assert container(worker(memory_max="2G"))["resources"]["requests"] == {"memory": "2Gi"}
    assert "resources" not in container(worker())


def test_probes_read_the_heartbeat_and_an_old_one_does_not_count():
    made = container(worker(**PROBED))
    assert made["startupProbe"]["failureThreshold"] * made["startupProbe"]["periodSeconds"] == 120
    assert made["livenessProbe"]["exec"]["command"][2].endswith("-le 35")
    assert made["lifecycle"]["postStart"]["exec"]["command"] == ["rm", "-f", "/tmp/evenkeel.heartbeat"]
    assert "livenessProbe" not in container(worker(watchdog="0"))


def test_a_hung_service_does_not_get_the_whole_grace_period():
    instance = worker(time_limit="30min", **PROBED)
    assert pod(instance)["terminationGracePeriodSeconds"] == 1830
    for probe in ("startupProbe", "livenessProbe"):
        assert container(instance)[probe]["terminationGracePeriodSeconds"] == 10


@pytest.mark.parametrize(
    ("instance", "options", "strategy"),
    [
        (worker(), {}, "RollingUpdate"),
        (worker(), {"gpu": 1}, "Recreate"),
        (worker(writable_paths=["/data"]), {"volumes": {"/data": "data"}}, "Recreate"),
        (worker(writable_paths=["/data"]), {"volumes": {"/data": "data"}, "replicas": 2}, "RollingUpdate"),
        (worker(), {"gpu": 1, "replicas": 2}, "Recreate"),
        (beat(name="w"), {}, "Recreate"),
    ],
)
def test_what_there_can_be_only_once_is_recreated(instance, options, strategy):
    assert deployment(instance, workers={"w": options})["strategy"]["type"] == strategy


def test_a_rollout_may_wait_for_the_last_task_of_the_old_pod():
    made = deployment(worker(time_limit="30min"), workers={"w": {"gpu": 1}})
    assert made["progressDeadlineSeconds"] > 1830 + 90
    made = deployment(worker(stay_up="20min"))
    assert made["progressDeadlineSeconds"] > made["minReadySeconds"] == 1200


def test_several_replicas_are_spread_and_evicted_one_after_another():
    made = objects(worker(), workers={"w": {"replicas": 2}})
    assert made["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert made["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert set(objects(worker())) == {"Deployment"}


@pytest.mark.parametrize(("largest", "kinds"), [(1, set()), (2, {"PodDisruptionBudget"})])
def test_an_autoscaled_worker_has_as_many_replicas_as_it_may_have_at_most(largest, kinds):
    instance = worker(environment={"CELERY_BROKER_URL": "redis://redis/0"}, writable_paths=["/data"])
    made = objects(instance, workers={"w": {"autoscale": {"max": largest}, "volumes": {"/data": "data"}}})
    assert set(made) == {"Deployment", "ScaledObject"} | kinds
    assert made["Deployment"]["spec"]["strategy"]["type"] == ("RollingUpdate" if kinds else "Recreate")


def test_a_gpu_is_requested_and_its_nodes_are_tolerated():
    options = {"w": {"gpu": 2, "node_selector": {"gpu": "a100"}}}
    assert container(worker(), workers=options)["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod(worker(), workers=options)["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert pod(worker(), workers=options)["nodeSelector"] == {"gpu": "a100"}


def test_writable_paths_are_claims_or_gone_with_the_pod():
    instance = worker(writable_paths=["/data", "/cache"])
    volumes = {each["name"]: each for each in pod(instance, workers={"w": {"volumes": {"/data": "shop"}}})["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "shop"}
    assert volumes["cache"]["emptyDir"] == {}


def test_a_beat_keeps_its_schedule_where_it_does_on_a_server():
    mounts = {each["mountPath"] for each in container(beat())["volumeMounts"]}
    assert "/var/lib/evenkeel/beat/b" in mounts


def test_a_new_revision_rolls_out():
    assert deployment(worker(revision="1.4"))["template"]["metadata"]["annotations"] == {
        "evenkeel.celery/revision": "1.4"
    }


def test_names_are_what_kubernetes_accepts():
    made = documents("kubernetes", worker(name="Shop_mails@1"))
    assert made["shop-mails-1.yaml"][0]["metadata"]["name"] == "shop-mails-1"


def test_a_variable_is_there_once_even_if_it_is_one_of_ours():
    names = [each["name"] for each in container(worker(environment={"PYTHONFAULTHANDLER": "0"}))["env"]]
    assert len(set(names)) == len(names)


def test_temporary_directories_are_writable_once():
    mounts = [each["mountPath"] for each in container(worker(writable_paths=["/tmp", "/var/tmp/"]))["volumeMounts"]]
    assert mounts == ["/evenkeel", "/tmp", "/var/tmp"]
