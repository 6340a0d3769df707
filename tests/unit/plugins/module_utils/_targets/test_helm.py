"""The manifests as a chart, as Helm's templates: what is not Helm's own is taken literally."""

import yaml
from exports import exported
from workers import beat, worker

OURS = "{{ (.Files.Glob `evenkeel/*.py`).AsConfig | sha256sum }}"


def test_the_manifests_are_templates_and_the_programs_their_configmap():
    made = exported("kubernetes", worker(), beat(), chart=True)
    assert set(made) == {
        *("Chart.yaml", "secret.example.yaml"),
        *(f"templates/{name}.yaml" for name in ("w", "b", "network-policy", "programs")),
        *(f"evenkeel/evenkeel_{name}.py" for name in ("watchdog", "beat", "heartbeat")),
    }
    assert yaml.safe_load(made["Chart.yaml"])["name"] == "shop"
    assert "name: shop-programs\ndata:\n  {{- (.Files.Glob `evenkeel/*.py`).AsConfig" in made["templates/programs.yaml"]


def test_a_new_program_rolls_out():
    assert f'evenkeel.celery/programs: "{OURS}"' in exported("kubernetes", worker(), chart=True)["templates/w.yaml"]
    assert "evenkeel.celery/programs" not in exported("kubernetes", worker())["w.yaml"]


def test_double_braces_are_not_helm_s():
    instance = worker(environment={"A": "{{ .Values.x }}"}, description="{{ fail }}")
    text = exported("kubernetes", instance, plain=["A"], chart=True)["templates/w.yaml"]
    assert text.replace("{{ `{{` }}", "").count("{{") == text.count(OURS) == 1
    assert 'value: "{{ `{{` }} .Values.x }}"' in text
