"""What was stored may be damaged, empty, or written by a newer version: that is a sentence, and nothing is changed."""

import json

import pytest
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import plan, store
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.plan import Original, State
from hypothesis import given
from hypothesis import strategies as st

GENERATION = "0123456789abcdef"
WHOLE = {
    "kind": "worker",
    "project": "shop",
    "current": GENERATION,
    "previous": None,
    "pending": None,
    "rolled_back": False,
}
ORIGINAL = {"content": "eA==", "mode": 420, "link": None, "elsewhere": False, "active": True, "enabled": True}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "STORE", tmp_path_factory.mktemp("store"))
        patch.setattr(store, "FORMER_STORE", store.STORE / "none")
        (store.STORE / "w").mkdir()
        yield store.STORE / "w"


def write(directory, name, content):
    (directory / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


DAMAGED = {
    "empty": b"",
    "truncated": b'{"kind": "wor',
    "not UTF-8": b"\xff\xfe{}",
    "nested without end": b"[" * 100_000,
    "a list": [],
    "a number": 3,
    "of a newer version": {**WHOLE, **ORIGINAL, "newer": 1},
    "a path": {**WHOLE, **ORIGINAL, "current": "../../etc", "link": ""},
    "a project that is a path": {**WHOLE, **ORIGINAL, "project": "../etc", "mode": -1},
    "another type": {**WHOLE, **ORIGINAL, "rolled_back": "no", "active": "yes"},
}


@pytest.mark.parametrize(("name", "read"), [("state.json", store.recall), ("original.json", store.read_original)])
@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_told_with_the_file_and_what_to_do(directory, name, read, damage):
    write(directory, name, DAMAGED[damage])
    with pytest.raises(plan.PlanError) as refused:
        read("w")
    message = str(refused.value)
    assert message.startswith(f"{directory / name} ")
    assert "move it away and run this again: then " in message
    assert "\n" not in message
    assert len(message) < 1500
    (directory / name).unlink()
    assert read("w") in (None, State())


@pytest.mark.parametrize("missing", ORIGINAL)
def test_an_original_unit_of_which_a_part_is_missing_is_damaged(directory, missing):
    write(directory, "original.json", {name: value for name, value in ORIGINAL.items() if name != missing})
    with pytest.raises(plan.PlanError, match=f"is damaged: {missing} is missing"):
        store.read_original("w")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.binary() | st.dictionaries(st.sampled_from([*WHOLE, *ORIGINAL, "deployed"]), JSON))
def test_whatever_it_contains_is_read_or_refused(directory, content):
    for name, read in (("state.json", store.recall), ("original.json", store.read_original)):
        write(directory, name, content)
        try:
            assert isinstance(read("w"), (State, Original, type(None)))
        except plan.PlanError as refused:
            assert str(refused).isprintable()
        (directory / name).unlink()


def test_what_we_write_is_read(directory):
    write(directory, "state.json", WHOLE)
    assert store.recall("w") == State(current=GENERATION)
    assert store.known() == {"w": store.Owner("worker", "shop")}
    write(directory, "original.json", ORIGINAL)
    assert store.read_original("w").file.content == b"x"
