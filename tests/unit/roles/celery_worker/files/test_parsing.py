"""What other users call their processes and cgroups is parsed without an error, and forges nothing."""

from __future__ import annotations

import stale_workers
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.text() | st.sampled_from(
    [
        "python3",
        "-m",
        "celery",
        "-A",
        "--app=",
        "-Ashop",
        "worker",
        "--",
        "-n",
        "-W",
        "-c",
        "[celeryd: x:MainProcess] y (-A)",
    ]
)
ARGV = st.lists(WORDS, min_size=1).map(tuple)
# The kernel refuses a line feed in a cgroup's name, and nothing else but these two.
NAMES = st.text(st.characters(blacklist_characters="\n/\0"), min_size=1) | st.sampled_from(
    ["\u20280::", "\x850:", "x\r0:", "evil.service", "docker-1.scope", "user@1000.service"]
)


@given(ARGV)
def test_a_command_line_is_parsed_or_is_not_celerys(argv):
    words = stale_workers.celery_words(argv)
    if words is not None:
        assert isinstance(stale_workers.command(words), str)
        assert isinstance(stale_workers.option(words, "-A", "--app"), str)


@given(st.text(), st.text())
def test_every_node_name_is_expanded(node, host):
    assert "@" in stale_workers.full_name(node, host)


@given(st.lists(NAMES))
def test_a_process_is_in_the_unit_in_which_the_kernel_has_it_whatever_its_cgroup_is_called(names):
    unit = stale_workers.unit_of("0::/" + "/".join(["user.slice", "user@1000.service", *names]) + "\n", "/")
    inner = [name for name in names if name.endswith((".service", ".scope")) and name != "init.scope"]
    assert unit in (stale_workers.CONTAINER, (inner or ["user@1000.service"])[-1])
    assert stale_workers.unit_of("0::/machine-1.scope/" + "/".join(names), "/") == stale_workers.CONTAINER
