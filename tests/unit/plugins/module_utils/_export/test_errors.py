"""What an export refuses, each in a sentence with the option, its value and what is accepted."""

import pytest
from exports import refused
from workers import beat, worker


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"image": ""},
            "w: image is required. Set celery_export_image to the one with the application, like"
            " registry.example.com/shop:1.4, or image of this service in celery_export_workers.",
        ),
        ({"image": "a b"}, "w: image 'a b' is not the name of an image. Write it like registry.example.com/shop:1.4."),
        (
            {"project": "Shop_1"},
            "celery_export_project 'Shop_1' can't begin names of what the services share. Use up to 63 lower-case"
            " letters, digits and '-', no '-' first or last.",
        ),
        ({"workers": {"v": {}}}, "celery_export_workers: no service is called 'v'. Name some of these: w."),
        ({"uid": 0}, "w: uid 0 is not an unprivileged user's. Use 1 or more, such as 10001."),
        ({"gid": -1}, "w: gid -1 is not an unprivileged user's. Use 1 or more, such as 10001."),
        ({"gpu": -1}, "w: gpu -1 is too small. Use 0 or more."),
        ({"cpu": "2 cores"}, "w: cpu '2 cores' is not an amount of CPU. Write it like 500m, 2 or 1.5."),
        ({"cpu": "0m"}, "w: cpu '0m' is not an amount of CPU. Write it like 500m, 2 or 1.5."),
        (
            {"cpu": "1500m", "cpu_limit": "1"},
            "w: cpu 1500m is above cpu_limit 1. Lower it, or raise cpu_limit.",
        ),
        ({"replicas": 0}, "w: replicas 0 is too small. Use 1 or more, or remove the worker."),
        ({"directory": "srv"}, "w: directory 'srv' is not an absolute path. Start it with '/'."),
        (
            {"volumes": {"/data": "data"}},
            "w: volumes: /data is not a writable path of the service. Set it in writable_paths of the service first.",
        ),
        (
            {"node_selector": {"disk": "a b"}},
            "w: node_selector: 'disk: a b' is not a label. Write both as texts, like nodes have them.",
        ),
        (
            {"machine": {"memory": "many"}},
            "w: machine: memory 'many' is not a size: write a number with K, M, G or T, such as 500M or 2G.",
        ),
        ({"machine": {"memory": "1G", "processors": 0}}, "w: machine: processors 0 is too small. Use 1 or more."),
    ],
)
def test_a_wrong_option_is_refused(options, error):
    ours = {name: options[name] for name in ("image", "project", "workers") if name in options}
    rest = {name: value for name, value in options.items() if name not in ours}
    assert refused("kubernetes", worker(), **{"workers": {"w": rest}, **ours}) == [error]


BROKER = {"CELERY_BROKER_URL": "redis://redis/0"}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"replicas": 2, "autoscale": {"max": 2}}, "w: replicas 2 and autoscale are both set. Remove one of them."),
        ({"autoscale": {"max": 0}}, "w: autoscale: min 0 and max 0 are no range. Use 0 or more, and 1 or more."),
        (
            {"autoscale": {"min": 3, "max": 2}},
            "w: autoscale: min 3 and max 2 are no range. Use 0 or more, and 1 or more.",
        ),
        ({"autoscale": {"max": 2, "tasks": 0}}, "w: autoscale: tasks 0 is too small. Use 1 or more."),
    ],
)
def test_a_wrong_scale_is_refused(options, error):
    assert refused("kubernetes", worker(environment=BROKER), workers={"w": options}) == [error]


@pytest.mark.parametrize("options", [{"replicas": 2}, {"autoscale": {"max": 1}}])
def test_a_beat_runs_once(options):
    instance = beat(environment=BROKER)
    error = "b: a beat runs once: each of several would send every task. Remove replicas and autoscale."
    assert refused("kubernetes", instance, workers={"b": options}) == [error]


@pytest.mark.parametrize(
    "environment",
    [{"DB_PASSWORD": "x"}, {"URL": "redis://:geheim@redis/0"}, {"DSN": "host=db;AccountKey=geheim"}],
)
def test_a_secret_is_never_plain(environment):
    [error] = refused("compose", worker(environment=environment), plain=list(environment))
    assert error.startswith(f"celery_export_plain: {next(iter(environment))} looks like a secret")
    assert "geheim" not in error


def test_the_python_path_has_to_be_plain():
    [error] = refused("compose", worker(environment={"PYTHONPATH": "/srv/lib"}))
    assert error.startswith("w: environment: PYTHONPATH has to be in celery_export_plain")


def test_names_that_become_the_same_are_refused():
    [error] = refused("compose", worker(name="a_b"), worker(name="a.b", node_name="x@%h"))
    assert error == "a.b: this name and a_b both become 'a-b'. Rename one of them."


def test_a_name_that_is_too_long_is_refused():
    [error] = refused("compose", worker(name="a" * 64))
    assert "has to have 1 to 63 characters" in error


def test_a_service_is_not_called_like_the_development_broker():
    [error] = refused("compose", worker(name="redis"), broker="redis:7")
    assert error == "redis: the broker's service is called 'redis' too. Rename it, or leave broker out."
    assert refused("compose", worker(name="redis")) == []


def test_hosts_that_run_a_worker_run_the_same():
    [error] = refused("compose", worker(concurrency=1), worker(concurrency=2, memory_max="1G"))
    assert error == (
        "w: concurrency, memory_max differ between the hosts that run it. Give the service another name on these hosts,"
        " or the same options."
    )


def test_a_worker_and_a_beat_of_one_name_are_refused():
    assert "a worker and a beat have this name" in "\n".join(refused("compose", worker(), beat(name="w")))


def test_the_services_own_errors_are_refused():
    assert refused("compose", worker(app=None)) == [
        "w: app is required. Set it for this worker or in celery_worker_defaults."
    ]


def test_an_export_of_nothing_is_refused():
    assert "There are no workers and no beats" in refused("compose")[0]


def test_a_text_with_a_hidden_character_is_refused():
    [error] = refused("compose", worker(), workers={"w": {"image": "shop\u202e:1"}})
    assert "U+202E" in error


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["/a:b"], "writable_paths: /a:b can't be a volume"),
        (["/"], "writable_paths: / can't be a volume"),
        (["/evenkeel/x"], "writable_paths: /evenkeel/x can't be a volume"),
        (["/a/b", "/a-b"], "/a-b and /a/b would be volumes of the same name, a-b"),
        (["/var-tmp"], "/var-tmp and /var/tmp would be volumes of the same name, var-tmp"),
        ([f"/{end}/{'x' * 70}" for end in "ab"], "would be volumes of the same name"),
    ],
)
def test_paths_that_can_not_be_volumes_are_refused(paths, says):
    [error] = refused("compose", worker(writable_paths=paths))
    assert says in error


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ("EVENKEEL_HEARTBEAT", "set by the export"),
        ("WATCHDOG_USEC", "systemd's own, for each start another one"),
        ("NOTIFY_SOCKET", "systemd's own, for each start another one"),
    ],
)
def test_what_the_probe_relies_on_can_not_be_set(variable, why):
    assert refused("compose", worker(environment={variable: "1"})) == [
        f"w: environment: {variable} is {why}. Remove it."
    ]
