"""Several projects on one host share its exporters; a play changes its own project only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import projects
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.projects import Configuration, Play

OWN = Configuration(
    services=({"name": "shop", "kind": "worker"},),
    exporters=("node", "redis"),
    listen_address="127.0.0.1",
    server="127.0.0.1:6379",
    queues=("celery", "mail"),
)


def errors(other, project="a", name="b", **play):
    return list(projects.errors(Play(project, OWN, **play), {name: other}))


def test_the_same_settings_are_shared():
    assert errors(OWN) == []
    assert errors(replace(OWN, server="10.0.0.9:6379", exporters=("node",))) == []
    assert errors(replace(OWN, database=1, queues=("images",))) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"listen_address": "10.0.0.5"}, "monitoring_listen_address is 127.0.0.1, but 10.0.0.5 for project 'b'"),
        ({"server": "10.0.0.9:6379"}, "counts the queues of Redis at 10.0.0.9:6379 for project 'b'"),
        ({"database": 1}, "The queue 'celery' exists in database 0 and, for project 'b', in database 1"),
    ],
)
def test_other_settings_are_refused(other, words):
    assert words in errors(replace(OWN, **other))[0]


def test_a_play_without_a_project_leaves_another_inventorys_configuration_alone():
    other = replace(OWN, services=({"name": "album", "kind": "worker"},))
    (sentence,) = errors(other, project="", name="")
    assert sentence.startswith("This host measures album for a play without a project")
    assert errors(other, project="", name="", take_over=["album"]) == []


def test_a_configuration_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(projects, "CONFIG", str(tmp_path / "monitoring.json"))
    (tmp_path / "monitoring.json").write_bytes(OWN.file().content)
    (tmp_path / "monitoring.b.json").write_text('{"services": [1, null], "exporters": 7}')
    assert projects.there() == {"": OWN, "b": Configuration()}
