"""Services in a Render blueprint."""

import shlex

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.command import command
from exports import documents, exported, refused
from workers import beat, worker


def service(instance, **options):
    return documents("render", instance, **options)["render.yaml"][0]["services"][0]


def variables(instance, **options):
    return {each["key"]: each for each in service(instance, **options)["envVars"]}


def test_the_command_line_is_that_of_systemd():
    instance = worker(queues=["a"], settings={"task_routes": {"x": "a b"}})
    assert shlex.split(service(instance)["dockerCommand"]) == command(instance)


def test_a_beat_keeps_its_schedule_where_there_is_a_directory():
    assert "--schedule=/tmp/schedule" in shlex.split(service(beat())["dockerCommand"])


@pytest.mark.parametrize(
    ("runtime", "has"),
    [
        ("image", {"image", "dockerCommand"}),
        ("docker", {"dockerfilePath", "dockerCommand"}),
        ("python", {"buildCommand", "startCommand"}),
    ],
)
def test_the_application_comes_as_it_is_asked_for(runtime, has):
    made = service(worker(), render={"runtime": runtime})
    every = {"image", "dockerfilePath", "dockerCommand", "buildCommand", "startCommand"}
    assert every & set(made) == has
    where = "evenkeel" if runtime == "python" else "/evenkeel"
    assert variables(worker(), render={"runtime": runtime})["PYTHONPATH"]["value"] == where


def test_values_that_are_not_plain_are_entered_in_the_dashboard():
    instance = worker(environment={"A": "geheim", "B": "2"})
    assert "geheim" not in "".join(exported("render", instance, plain=["B"]).values())
    made = variables(instance, plain=["B"])
    assert made["A"] == {"key": "A", "sync": False}
    assert made["B"] == {"key": "B", "value": "2"}


@pytest.mark.parametrize(
    ("memory", "plan"),
    [
        ("512M", "starter"),
        ("513M", "standard"),
        ("2G", "standard"),
        ("3G", "pro"),
        ("32G", "pro ultra"),
        (None, "starter"),
    ],
)
def test_the_plan_holds_the_memory_limit(memory, plan):
    assert service(worker(memory_max=memory))["plan"] == plan


def test_a_plan_can_be_chosen():
    assert service(worker(memory_max="1G"), workers={"w": {"plan": "pro"}})["plan"] == "pro"
    assert "plan 'large' is not one of Render's" in refused("render", worker(), workers={"w": {"plan": "large"}})[0]
    [error] = refused("render", worker(memory_max="1G"), workers={"w": {"plan": "starter"}})
    assert (
        error == "w: memory_max 1G is more than the 512M of Render's plan starter. Lower it, or choose a larger plan."
    )
    assert "pro ultra. Lower it." in refused("render", worker(memory_max="33G"))[0]


def test_tasks_are_handed_back_before_render_kills_the_worker():
    instance = worker(time_limit="30min")
    assert service(instance)["maxShutdownDelaySeconds"] == 300
    assert variables(instance)["EVENKEEL_HAND_BACK"]["value"] == "290"
    assert service(worker(time_limit="1min", stop_timeout="90s"))["maxShutdownDelaySeconds"] == 90
