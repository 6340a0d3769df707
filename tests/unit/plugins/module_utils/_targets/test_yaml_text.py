"""YAML reads back as the data that was written."""

import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.yaml_text import Anchor, Merge, Note, text
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(blacklist_categories=("Cs",)))
SCALAR = TEXT | st.sampled_from(
    [
        "yes",
        "1e3",
        "0x1",
        "1:20",
        "2026-11-27",
        "~",
        "=",
        "<<",
        "- a",
        "a: b",
        "a #b",
        "-A",
        "--",
        "512M",
        ".5",
        "@x",
        "%x",
    ]
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(st.dictionaries(TEXT, DATA, min_size=1, max_size=4))
def test_data_reads_back(data):
    data.pop("<<", None)
    if data:
        assert list(yaml.safe_load_all(text([data, data]))) == [data, data]


@settings(max_examples=20)
@given(st.lists(st.text(st.characters(whitelist_categories=("Ll", "Nd", "Po", "Sm")), min_size=1), min_size=20))
def test_a_long_text_reads_back_from_several_lines(words):
    data = {"command": " ".join(words)}
    assert yaml.safe_load(text([data])) == data


def test_a_list_within_a_list_reads_back():
    data = {"a": [["b", ["c"]], {"d": []}, {}, [{"e": "f", "g": [1]}]]}
    assert yaml.safe_load(text([data])) == data


def test_it_looks_as_people_write_it():
    data = {
        "kind": "Deployment",
        "spec": Note("Two would send each task twice.", {"type": "Recreate"}),
        "command": ["celery", "-A", "shop", "--hostname=w@%h"],
        "drop": ["ALL"],
        "value": "1",
        "empty": {},
        "x": Note("With a line above.", [Note("First.", {"a": "b"}), {"c": 1}], apart=True),
    }
    assert text([data]) == (
        "---\n"
        "kind: Deployment\n"
        "# Two would send each task twice.\n"
        "spec:\n"
        "  type: Recreate\n"
        "command:\n"
        "  - celery\n"
        "  - -A\n"
        "  - shop\n"
        "  - --hostname=w@%h\n"
        "drop: [ALL]\n"
        'value: "1"\n'
        "empty: {}\n"
        "\n"
        "# With a line above.\n"
        "x:\n"
        "  # First.\n"
        "  - a: b\n"
        "  - c: 1\n"
    )


def test_an_anchor_is_included():
    data = {"x-common": Anchor("common", {"a": "b"}), "c": {"<<": Merge("common"), "d": "e"}}
    assert yaml.safe_load(text([data]))["c"] == {"a": "b", "d": "e"}
