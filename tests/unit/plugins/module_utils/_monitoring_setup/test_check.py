"""What would keep a host from being measured is said before anything is changed."""

from __future__ import annotations

import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import check, exporters
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.exporters import EXPORTERS
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.projects import Configuration

HERE = Configuration(exporters=("node",), listen_address="127.0.0.1")


@pytest.fixture
def errors(monkeypatch, tmp_path):
    """The errors with another port, and another file of the administrator's."""

    def run(wanted=HERE, arguments='ARGS=""', rate_limited="429", running=False):
        (tmp_path / "default").write_text(arguments)
        monkeypatch.setattr(exporters.Exporter, "arguments_file", str(tmp_path / "default"))
        monkeypatch.setattr(check.systemd, "look", lambda names: dict.fromkeys(names, SimpleNamespace(active=running)))
        return list(check.errors({"rate_limited": rate_limited}, wanted, None, b""))

    return run


@pytest.fixture
def port(monkeypatch):
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setitem(check.EXPORTERS, "node", replace(EXPORTERS["node"], port=number))
        yield number


def test_a_free_port_of_this_host_is_right(errors, monkeypatch):
    monkeypatch.setitem(check.EXPORTERS, "node", replace(EXPORTERS["node"], port=0))
    assert errors() == []


def test_a_port_that_something_else_uses_is_refused(errors, port):
    assert f"port {port} of 127.0.0.1 is in use by something else" in errors()[0]
    assert errors(running=True) == [], "by the exporter itself"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.1", "192.0.2.1 can't be listened on: Cannot assign requested address"),
        ("web1.example.com", "'web1.example.com' is not an IP address"),
        ("", "'' is not an IP address"),
    ],
)
def test_an_address_of_another_host_is_refused(errors, address, words):
    assert words in errors(replace(HERE, listen_address=address))[0]


@pytest.mark.parametrize(
    "arguments",
    ['ARGS="--web.listen-address=:9100"', "ARGS='-collector.arp \\\n  --web.listen-address :9100'"],
)
def test_an_administrators_flag_that_contradicts_ours_is_refused(errors, monkeypatch, arguments):
    monkeypatch.setitem(check.EXPORTERS, "node", replace(EXPORTERS["node"], port=0))
    assert "sets --web.listen-address, which the role has to set" in errors(arguments=arguments)[0]
    assert errors(arguments=f'# {arguments}\nARGS="--collector.arp"') == []


def test_a_wrong_expression_and_a_relative_flag_file_are_refused(errors):
    found = errors(Configuration(campaigns={"mail": "campaign"}), rate_limited="(429")
    assert found[0].startswith("monitoring_rate_limited is not a regular expression: missing )")
    assert found[1] == "monitoring_queues: campaign 'campaign' of mail is not an absolute path."


@pytest.mark.parametrize(
    ("address", "warned"),
    [("127.0.0.1", False), ("10.0.0.5", False), ("fd00::5", False), ("::", True), ("8.8.8.8", True)],
)
def test_an_address_that_all_the_world_may_reach_is_warned_of(address, warned):
    assert bool(list(check.warnings(replace(HERE, listen_address=address)))) is warned
    assert not list(check.warnings(Configuration()))
