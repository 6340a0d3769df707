"""An environment reaches the modules unchanged, as a text that Ansible finds unchanged where it masks it."""

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.basic import heuristic_log_sanitize
from ansible_collections.evenkeel.celery.plugins.filter.with_encoded_environment import with_encoded_environment
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import complete
from hypothesis import given
from hypothesis import strategies as st
from workers import worker

ENVIRONMENTS = st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none(), min_size=1)


@given(ENVIRONMENTS)
def test_an_environment_arrives_unchanged(environment):
    encoded = with_encoded_environment({"name": "w", "environment": environment})
    assert complete(encoded)["environment"] == environment


def test_a_value_that_is_encrypted_by_itself_is_decrypted():
    class Encrypted:  # as ansible-core has it before 2.19
        def __str__(self):
            return "redis://:geheim@host"

    encoded = with_encoded_environment({"name": "w", "environment": {"CELERY_BROKER_URL": Encrypted()}})
    assert complete(encoded)["environment"] == {"CELERY_BROKER_URL": "redis://:geheim@host"}


@pytest.mark.parametrize("name", [True, 1, None])
def test_a_name_that_is_no_text_to_yaml_is_refused(name):
    with pytest.raises(AnsibleFilterError, match=f"environment: {name} is no text"):
        with_encoded_environment({"name": "w", "environment": {name: "geheim", "A": "b"}})


@given(ENVIRONMENTS, st.text(alphabet="ab:/@ "))
def test_what_ansible_logs_has_all_of_the_text_or_nothing(environment, around):
    encoded = with_encoded_environment(
        {**worker(description=around, node_name=f"{around}@"), "environment": environment}
    )
    text = encoded["environment"]
    logged = heuristic_log_sanitize(f"instances={[encoded]}").replace(text, "")
    assert not [start for start in range(0, len(text) - 8, 8) if text[start : start + 8] in logged]


@pytest.mark.parametrize("wrong", [json.dumps({"A": "geheim"}), "e", "W10=", "geheim!"])
def test_an_environment_that_is_not_encoded_is_refused_without_its_value(wrong):
    with pytest.raises(ValueError, match="environment is not encoded") as refused:
        complete({"name": "w", "environment": wrong})
    assert "geheim" not in str(refused.value)


def test_a_worker_without_an_environment_has_none():
    assert complete({"name": "w"})["environment"] == {}
