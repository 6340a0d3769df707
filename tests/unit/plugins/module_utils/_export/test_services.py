"""Services in containers: what their profiles choose, and where several hosts run one."""

from ansible_collections.evenkeel.celery.plugins.module_utils._export.services import services
from exports import options
from workers import worker


def one(instance, **given):
    [service] = services([instance], options("kubernetes", **given))
    return service


def test_a_profile_chooses_for_the_machine_that_is_named():
    instance = {**worker(profile={"task_memory": "500M"}), "given": set(), "chosen": {}}
    service = one(instance, workers={"w": {"machine": {"memory": "4G", "processors": 2}}})
    assert (service.instance["concurrency"], service.instance["memory_max"]) == (2, "1428M")
    assert one(instance).instance["memory_max"] is None


def test_defaults_are_overridden_option_by_option():
    given = {"defaults": {"uid": 5, "gid": 5}, "workers": {"w": {"uid": 7}}}
    assert (one(worker(), **given).container["uid"], one(worker(), **given).container["gid"]) == (7, 5)


def test_the_image_of_one_service_may_differ():
    assert one(worker(), workers={"w": {"image": "gpu:2"}}).container["image"] == "gpu:2"
    assert one(worker()).container["image"] == "shop:1"


def test_paths_in_the_image_may_differ_from_the_servers():
    service = one(worker(), defaults={"executable": "celery", "directory": "/app"})
    assert (service.instance["executable"], service.instance["directory"]) == ("celery", "/app")
