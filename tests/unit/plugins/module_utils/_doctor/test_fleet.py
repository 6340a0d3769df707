"""What the doctor says of all hosts together, and when it says nothing."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor import fleet
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.facts import NOTHING_KNOWN
from ansible_collections.evenkeel.celery.plugins.module_utils._doctor.rules import RULES

DAY = 86400


def queue(name, messages=0, consumers=None):
    return {"name": name, "messages": messages, "consumers": consumers}


def reply(name, queues=("celery",), **about):
    return {"name": name, "count": 1, "queues": list(queues), "uptime": 90, "received": 0, **about}


def member(host="a", name="shop", kind="worker", broker="4f2a 0", **about):
    """A worker `shop@HOST` of the queue celery, whose broker has an empty one, and who is all alone."""
    node = about.pop("node", f"{name}@{host}" if kind == "worker" else None)
    consumes = about.pop("consumes", ["celery"])
    facts = {
        "settings": {"default_queue": "celery", "routes": about.pop("routes", {"celery": "shop.make"})},
        "service": {"node": node, "queues": consumes, **about.pop("service", {})},
        "queues": {"broker": broker, "queues": about.pop("queues", [queue("celery")])},
        "workers": {
            "workers": about.pop("replies", [reply(node, consumes)]), "silent": [], "listening": 1,
            **about.pop("workers", {}),
        },
        **about,
    }  # fmt: skip
    if kind == "beat":
        facts["service"] = {"entries": facts["service"].get("entries", {})}
    return fleet.Member(host, name, kind, {**NOTHING_KNOWN, **facts})


def rules(*members, **options):
    return [finding.rule for finding in fleet.of_fleet(members, **options)]


def test_a_healthy_fleet_has_no_traps():
    replies = [reply("shop@a", received=7), reply("mail@b", ["mail"], received=1)]
    about = {"replies": replies, "workers": {"listening": 2}, "queues": [queue("celery", 3), queue("mail", 1)]}
    assert not rules(
        member("a", **about, redis={"run": "4f2a", "clock": [-0.5, 0.2]}),
        member("b", "mail", consumes=["mail"], **about, redis={"run": "4f2a", "clock": [-3, 0.1]}),
        member("b", "beat", kind="beat", service={"entries": {"celery": "clean"}}),
    )


def test_nothing_is_said_of_what_is_not_known():
    assert not rules(fleet.Member("a", "w", "worker", NOTHING_KNOWN), fleet.Member("b", "w", "worker", NOTHING_KNOWN))


def test_rules_that_are_ignored_are_not_said():
    alike = member("a", node="w@x"), member("b", node="w@x")
    assert rules(*alike) == ["one_node_name"]
    assert not rules(*alike, ignored=["one_node_name"])


def test_each_rule_of_the_fleet_is_checked_here():
    assert list(fleet.CHECKS) == [rule.name for rule in RULES if not rule.check]


# --- Names ------------------------------------------------------------------------------------------------------------


def test_workers_of_one_name_on_two_hosts_are_named_together():
    (found,) = fleet.of_fleet([member("a", node="w@x"), member("b", node="w@x"), member("c", node="w@y")])
    assert found.where == ("a: shop", "b: shop")
    assert found.why.startswith("2 workers are called w@x.")
    assert found.write.startswith("Write node_name: w@{{ inventory_hostname }}.")


def test_a_worker_outside_of_the_play_may_have_the_name_too():
    (found,) = fleet.of_fleet([member(replies=[reply("shop@a", count=2)])])
    assert (found.where, found.why[:9]) == (("a: shop",), "2 workers")


@pytest.mark.parametrize("broker", ["4f2a 1", "77b1 0", None])
def test_workers_of_different_brokers_may_have_the_same_name(broker):
    assert not rules(member("a", node="w@x"), member("b", node="w@x", broker=broker))


# --- Clocks -----------------------------------------------------------------------------------------------------------


def clock(host, low, high, run="4f2a"):
    return member(host, node=None, redis={"run": run, "clock": [low, high]})


def test_clocks_that_are_certainly_apart_are_said():
    (found,) = fleet.of_fleet([clock("a", -0.2, 0.1), clock("b", -90.5, -89.0), clock("c", -1, 0)])
    assert found.where == ("a: shop", "b: shop")
    assert found.why.startswith("The clock of b is ahead of that of a by 1min 29s.")


@pytest.mark.parametrize(
    "others",
    [
        [clock("b", -20, 3)],  # the broker answered so late that it is not certain
        [clock("b", 3, 4)],
        [clock("b", 90, 91, run="77b1")],
        [],
    ],
)
def test_clocks_that_may_agree_are_not(others):
    assert not rules(clock("a", 0, 0.1), *others)


# --- Queues -----------------------------------------------------------------------------------------------------------


def sentences(*members, **options):
    return [f"{finding.severity}: {finding.why}" for finding in fleet.of_fleet(members, **options)]


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"queues": [queue("emial", 7)]}, "No worker consumes the queue emial, and 7 messages wait there."),
        (
            {"queues": [queue("mail")], "routes": {"mail": "shop.mail"}},
            "No worker consumes the queue mail, and task shop.mail is routed to it.",
        ),
        (
            {"queues": [queue("mail", 1, consumers=0)], "workers": {"listening": 9}},
            "No worker consumes the queue mail, and a message waits there.",
        ),
    ],
)
def test_a_queue_that_is_filled_and_has_no_worker_is_said(about, why):
    assert sentences(member(**about)) == [f"warning: {why} These tasks are never executed."]


def test_a_beat_fills_a_queue():
    beat = member("b", "beat", kind="beat", service={"entries": {"nightly": "clean"}})
    (found,) = fleet.of_fleet([member(), beat])
    assert found.where == ("b: beat",)
    assert "entry clean of the schedule is sent to it" in found.why


@pytest.mark.parametrize(
    "about",
    [
        {"queues": [queue("mail")]},
        {"queues": [queue("mail", 7)], "consumes": ["mail"]},  # by a worker that does not run yet
        {"queues": [queue("mail", 7)], "replies": [reply("other@z", ["mail"])]},
        {"queues": [queue("mail", 7)], "workers": {"silent": ["other@z"]}},
        {"queues": [queue("mail", 7)], "workers": {"listening": 2}},  # one that can't be asked
        {"queues": [queue("mail", 7)], "workers": {}, "replies": None},
        {"queues": [queue("mail", 7, consumers=1)]},
        {
            "consumes": ["mail"],
            "queues": [queue("celery")],
        },  # tasks without a route are sent elsewhere by their senders
    ],
)
def test_a_queue_that_has_a_worker_or_may_have_one_or_is_not_filled_is_not(about):
    if about.get("replies", ()) is None:
        about = {**{key: value for key, value in about.items() if key != "replies"}, "workers": {"workers": []}}
        assert not rules(fleet.Member("a", "w", "worker", {**member(**about).facts, "workers": {}}))
    else:
        assert "queue_without_worker" not in rules(member(**about))


def test_a_worker_of_the_play_that_does_not_answer_is_known_all_the_same():
    stopped = member("b", "mail", consumes=["mail"])
    assert not rules(member(queues=[queue("mail", 7)], workers={"silent": ["mail@b"]}), stopped)
    assert rules(member(queues=[queue("emial", 7)], workers={"silent": ["mail@b"]}), stopped) == [
        "queue_without_worker"
    ]


def test_while_a_host_is_not_known_no_queue_is_said_to_be_without_a_worker():
    assert not rules(member(queues=[queue("mail", 7)]), complete=False)


def test_a_queue_that_was_empty_at_one_of_two_looks_is_consumed():
    assert not rules(member("a", queues=[queue("mail", 1)]), member("b", queues=[queue("mail")]))


def test_of_many_queues_without_a_worker_most_are_said_together():
    many = [queue(f"queue{number:03}", 1) for number in range(fleet.MOST + 480)]
    *single, together = sentences(member(queues=many))
    assert len(single) == fleet.MOST
    assert together == (
        "warning: No worker consumes 480 further queues to which tasks are sent: queue020, queue021, queue022, …."
    )


def test_for_many_queues_the_services_are_looked_through_once(monkeypatch):
    looked, look = [], fleet._all_workers_are_known
    monkeypatch.setattr(fleet, "_all_workers_are_known", lambda group: looked.append(group) or look(group))
    routed = fleet.Member.routes.fget
    monkeypatch.setattr(fleet.Member, "routes", property(lambda self: looked.append(self) or routed(self)))
    members = [member(f"host{number}", queues=[queue(f"queue{each}", 1) for each in range(100)]) for number in range(9)]
    rules(*members)
    assert len(looked) < 100


LONG = {"uptime": DAY}
IDLE = {"consumes": ["old"], "queues": [queue("old")], "replies": [reply("shop@a", ["old"], **LONG)]}


def test_a_worker_that_has_received_nothing_for_a_day_and_whose_queue_nobody_fills_is_said():
    (why,) = sentences(member(**IDLE))
    assert why.startswith("hint: The worker consumes old and has received no task for a day.")


@pytest.mark.parametrize(
    ("about", "others"),
    [
        ({"replies": [reply("shop@a", ["old"], uptime=DAY - 1)]}, []),
        ({"replies": [reply("shop@a", ["old"], **LONG, received=1)]}, []),
        ({"replies": [reply("shop@b", ["old"], **LONG)]}, []),
        ({"replies": []}, []),
        ({"queues": [queue("old", 1)]}, []),
        ({"routes": {"old": "shop.make"}}, []),
        ({}, [member("b", "beat", kind="beat", service={"entries": {"old": "clean"}})]),
        ({}, [member("b", routes={"old": "shop.make"})]),
        ({}, [fleet.Member("b", "beat", "beat", {**member().facts, "service": {}})]),  # whose schedule is not known
    ],
)
def test_a_worker_that_is_or_may_be_needed_is_not(about, others):
    assert not rules(member(**{**IDLE, **about}), *others)


def test_while_a_host_is_not_known_no_worker_is_said_to_be_without_tasks():
    assert not rules(member(**IDLE), complete=False)
