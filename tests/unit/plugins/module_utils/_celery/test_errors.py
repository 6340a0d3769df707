"""Errors and warnings that follow from the workers' options alone."""

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.errors import errors, warnings
from workers import beat, worker


def test_the_defaults_are_accepted():
    assert list(errors([worker()])) == []
    assert list(errors([beat()])) == []
    assert list(warnings([beat()])) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"app": None}, "b: app is required. Set it for this beat or in celery_beat_defaults."),
        ({"max_interval": "0.5s"}, "b: max_interval 0.5s is shorter than a second."),
        (
            {"scheduler": "my scheduler"},
            "b: scheduler 'my scheduler' is not the path of a class. Write it as module:Class",
        ),
        (
            {"settings": {"beat_scheduler": "x:Y"}},
            "b: settings: beat_scheduler can't be set here. Use the option scheduler",
        ),
        ({"settings": {"include": ["x"]}}, "b: settings: 'include' can't be set on Celery's command line."),
    ],
)
def test_an_error_of_a_beat_names_option_value_and_what_is_accepted(options, sentence):
    (error,) = errors([beat(**options)])
    assert error.startswith(sentence)


def test_two_beats_of_one_schedule_are_refused():
    (error,) = errors([beat(), beat(name="c"), beat(name="staging", environment={"BROKER": "redis://staging"})])
    assert error.startswith("b, c: these beats have the same application and environment")


def test_a_beat_within_a_worker_is_refused():
    (error,) = errors([worker(environment={"CELERY_WORKER_BEAT": "1"})])
    assert "add a beat to celery_beat_instances" in error


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"memory_max": "much"}, "w: memory_max 'much' is not a size"),
        ({"watchdog": "soon"}, "w: watchdog 'soon' is not a duration"),
        ({"memory_high": "900M", "memory_max": "800M"}, "w: memory_high 900M must be below memory_max 800M"),
        ({"soft_time_limit": "2h", "time_limit": "1h"}, "w: soft_time_limit 2h must be below time_limit 1h"),
        ({"max_memory_per_child": "1G", "memory_max": "800M"}, "w: max_memory_per_child 1G is above memory_max 800M"),
        (
            {"max_memory_per_child": "1G", "pool": "threads"},
            "w: max_memory_per_child 1G has an effect only in the prefork pool, but pool is threads",
        ),
        (
            {"max_tasks_per_child": 50, "pool": "gevent"},
            "w: max_tasks_per_child 50 has an effect only in the prefork pool, but pool is gevent",
        ),
        (
            {"executable": "/srv/venv/bin/python3.13"},
            "w: executable '/srv/venv/bin/python3.13' is Python. Use the celery",
        ),
        ({"directory": "srv"}, "w: directory 'srv' is not an absolute path"),
        ({"restart_on": ["srv/current"]}, "w: restart_on 'srv/current' is not an absolute path"),
        ({"revision": "https://me:secret@host/shop"}, "w: revision contains a password, which every user of the host"),
        ({"revision": "1.2\\"}, "w: revision '1.2\\\\' begins or ends with white space, or ends with a backslash"),
        ({"concurrency": 0}, "w: concurrency 0 is too small"),
        ({"autoscale": [8]}, "w: autoscale [8] is not the most and the least children"),
        ({"autoscale": [2, 8]}, "w: autoscale [2, 8] is not the most and the least children"),
        ({"autoscale": [8, 0]}, "w: autoscale [8, 0] is not the most and the least children"),
        ({"autoscale": [8, 2], "pool": "threads"}, "w: autoscale [8, 2] has no effect in the pool threads"),
        ({"name": "w.service"}, "w.service: name 'w.service' is not a valid unit name"),
        ({"settings": {"task_routes": ["x" * 131_072]}}, "w: settings: 'task_routes' has 131094 characters, more than"),
        ({"settings": {"timezone": "UTC"}}, "w: settings: 'timezone' can't be set on Celery's command line"),
        ({"environment": {"A-B": "1"}}, "w: environment: 'A-B' is not a valid variable name"),
        ({"environment": {"DEBUG": True}}, "w: environment: DEBUG is a bool, not a string. Put its value in quotes"),
        ({"environment": {"NOTIFY_SOCKET": "/run/x"}}, "w: environment: NOTIFY_SOCKET is systemd's own"),
        ({"environment": {"CELERY_WORKER_INCLUDE": "x"}}, "w: environment: CELERY_WORKER_INCLUDE has no effect"),
        ({"settings": {"include": "shop.reports"}}, "w: settings: include 'shop.reports' is not a list of modules"),
        ({"settings": {"broker_url": "redis://:pw@host/0"}}, "w: settings: 'broker_url' contains a password"),
        ({"settings": {"security_key_password": "x"}}, "w: settings: 'security_key_password' contains a password"),
        (
            {"settings": {"broker_transport_options": {"sentinel_kwargs": {"password": "x"}}}},
            "w: settings: 'broker_transport_options.sentinel_kwargs.password' contains a password",
        ),
        (
            {"settings": {"broker_transport_options": {"predefined_queues": {"q": {"secret_access_key": "x"}}}}},
            "w: settings: 'broker_transport_options.predefined_queues.q.secret_access_key' contains a password",
        ),
        ({"settings": {"s3_secret_access_key": "x"}}, "w: settings: 's3_secret_access_key' contains a password"),
        (
            {"settings": {"result_backend": "azureblockblob://Protocol=https;AccountKey=x"}},
            "w: settings: 'result_backend' contains a password",
        ),
        (
            {"settings": {"broker_failover_urls": ["redis://h", "redis://:pw@h"]}},
            "w: settings: 'broker_failover_urls' contains a password",
        ),
        ({"environment": {"A": "x" * 140_000}}, "w: environment: A has 140000 characters"),
        ({"app": None}, "w: app is required. Set it for this worker or in celery_worker_defaults"),
        ({"watchdog": "100ms"}, "w: watchdog 100ms is shorter than one second"),
        ({"settings": {"include": ["a,b"]}}, "w: settings: include ['a,b'] is not a list of modules"),
        ({"directory": "/srv/shop\\"}, "w: directory '/srv/shop\\\\' begins or ends with white space, or ends with a"),
        ({"user": " shop"}, "w: user ' shop' begins or ends with white space"),
        ({"after": ["redis"]}, "w: after 'redis' is not the name of a unit. Write it with its type"),
        ({"sandbox": {"UMask=0 #": 1}}, "w: sandbox: 'UMask=0 #' is not a directive"),
        ({"sandbox": {"UMask": "0027\\"}}, "w: sandbox: UMask '0027\\\\' begins or ends with white space"),
        ({"app": "shop\nUser=root"}, "w: app: 'shop\\nUser=root' contains the character U+000A. Remove it."),
        ({"environment": {"KEY": "a secret\x1b[2J"}}, "w: environment: KEY: a text contains the character U+001B"),
    ],
)
def test_an_error_names_option_value_and_what_is_accepted(options, sentence):
    (found,) = errors([worker(**options)])
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    "settings",
    [
        {"task_default_routing_key": "a.b", "security_key": "/etc/key.pem", "result_backend": "redis://h/0"},
        {"broker_transport_options": {"sentinel_kwargs": {"password": None}, "queue_name_prefix": "x-"}},
        {"task_routes": {"shop.tokens.*": {"queue": "tokens", "routing_key": "x"}}},
    ],
)
def test_settings_without_a_password_are_accepted(settings):
    assert list(errors([worker(settings=settings)])) == []


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"DB_PASSWORD:geheim": None}, "'DB_PASSWORD:…'"),
        ({"DB_PASSWORD=geheim": None}, "'DB_PASSWORD=…'"),
        ({"geheim-4711": "DB_PASSWORD"}, "a name of 11 characters"),
        ({"A B": "geheim"}, "'A B'"),
        ({"geheim " * 20: "x"}, "a name of 140 characters"),
    ],
)
def test_a_mistake_in_a_name_does_not_show_the_value(environment, shown):
    (found,) = errors([worker(environment=environment)])
    assert found.startswith(f"w: environment: {shown} is not a valid variable name")
    assert "geheim" not in found


def test_lines_tabs_and_all_alphabets_are_accepted():
    assert list(errors([worker(environment={"A": "ä\tß\n日本 🙂", "B": 3, "C": None})])) == []


@pytest.mark.parametrize(
    ("options", "limit"), [({"time_limit": "2min"}, "2min"), ({"settings": {"task_time_limit": 90}}, "90")]
)
def test_a_stop_timeout_below_the_time_limit_gets_a_warning(options, limit):
    (found,) = warnings([worker(memory_max="1G", stop_timeout="1min", **options)])
    assert f"stop_timeout 1min is below time_limit {limit}" in found


def test_a_stop_timeout_below_a_time_limit_of_the_application_gets_a_warning():
    (found,) = warnings([{**worker(memory_max="1G", stop_timeout="1min", time_limit="30s"), "application_limit": 1500}])
    assert "stop_timeout 1min is below the time limit 1500 s that the application sets. A restart may" in found


def test_a_worker_that_runs_as_root_gets_a_warning():
    (found,) = warnings([worker(memory_max="1G", user="root")])
    assert found.startswith("w: user is root, so its tasks run as root")


def test_workers_without_a_memory_limit_share_one_warning():
    (found,) = warnings([worker(name="mail"), worker(name="scraping"), worker(name="limited", memory_max="1G")])
    assert found.startswith("mail, scraping: memory_max is not set")


def test_names_and_node_names_have_to_be_unique():
    twice = "is used by 2 workers. Set a different one for each."
    found = list(errors([worker(node_name="n@%h"), worker(node_name="n@%h")]))
    assert found == [f"name 'w' {twice}", f"node_name 'n@%h' {twice}"]


@pytest.mark.parametrize(
    "path",
    ["log/worker.log", "/worker.log", "/var/log/../etc/x", "/var/log/a b", "/var/log/*.log", "/var/log/x/", 5, {}],
)
def test_a_log_file_is_true_or_a_path_without_special_characters(path):
    (error,) = errors([worker(log_file=path)])
    assert error.startswith(f"w: log_file {path!r} is neither true nor an absolute path in a directory.")


@pytest.mark.parametrize("path", ["/tmp/w.log", "/usr/local/shop/w.log"])
def test_a_log_file_is_not_where_it_can_not_be_renamed(path):
    (error,) = errors([worker(log_file=path)])
    assert error.startswith(f"w: log_file {path!r} is where logrotate can't rename it.")


def test_two_services_do_not_share_a_log_file():
    shared = {"log_file": "/var/log/shop/shop.log"}
    assert list(errors([worker(**shared), worker(name="x", **shared)])) == [
        "log_file '/var/log/shop/shop.log' is used by 2 workers. Set a different one for each."
    ]
    assert not list(errors([worker(log_file=True), worker(name="x", log_file=True), worker(name="y")]))


def test_a_rate_limit_of_nothing_is_refused():
    (error,) = errors([worker(log_rate_limit=0)])
    assert error.startswith("w: log_rate_limit 0 is too small.")
