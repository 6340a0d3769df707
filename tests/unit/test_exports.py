"""The examples' exports are valid, and the checks that say so find planted mistakes."""

import json

import pytest
import yaml
from exports import LOADER
from manifests import mistakes
from project import PROJECT

EXPORTS = sorted(PROJECT.glob("examples/*/export/kubernetes"))


def read(directory):
    return [
        document for path in sorted(directory.glob("*.yaml")) for document in yaml.load_all(path.read_text(), LOADER)
    ]


@pytest.fixture(scope="module")
def imagineer():
    """A text, as each test changes the documents."""
    return json.dumps(read(PROJECT / "examples" / "imagineer" / "export" / "kubernetes"))


@pytest.mark.parametrize("directory", EXPORTS, ids=lambda path: path.parts[-3])
def test_the_manifests_of_the_examples_have_no_mistakes(directory):
    assert list(mistakes(read(directory))) == []


@pytest.mark.parametrize("directory", EXPORTS, ids=lambda path: path.parts[-3])
def test_the_kustomization_names_all_manifests_but_the_secret(directory):
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    others = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == others


def container(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


REFERRED_TO = ("Secret", "Kustomization", "TriggerAuthentication")
# Each changes the Deployment of a worker, or its ScaledObject, in place.
PLANTED = {
    "an unknown field of a container": lambda d, s: container(d).update(comand=["x"]),
    "an unknown field of a pod": lambda d, s: d["spec"]["template"]["spec"].update(gracePeriod=3),
    "a number as the value of a variable": lambda d, s: container(d)["env"][0].update(value=6),
    "a text as a number of seconds": lambda d, s: d["spec"].update(minReadySeconds="10s"),
    "no selector": lambda d, s: d["spec"].update(selector={"matchLabels": {}}),
    "a selector that is not in the labels": lambda d, s: d["spec"]["selector"]["matchLabels"].update(tier="x"),
    "requests above the limits": lambda d, s: container(d)["resources"]["requests"].update(memory="64Gi"),
    "a size in Docker's words": lambda d, s: container(d)["resources"]["limits"].update(memory="16GiB"),
    "a mount of no volume": lambda d, s: container(d)["volumeMounts"].append({"name": "data", "mountPath": "/data"}),
    "a relative mount path": lambda d, s: container(d)["volumeMounts"][0].update(mountPath="evenkeel"),
    "rollingUpdate with Recreate": lambda d, s: d["spec"]["strategy"].update(
        type="Recreate", rollingUpdate={"maxSurge": 1}
    ),
    "an unknown strategy": lambda d, s: d["spec"].update(strategy={"type": "Rolling"}),
    "a name with an underscore": lambda d, s: d["metadata"].update(name="imagineer_scraping"),
    "a label with white space": lambda d, s: d["metadata"]["labels"].update(tier="the workers"),
    "a liveness probe that has to succeed twice": lambda d, s: container(d)["livenessProbe"].update(successThreshold=2),
    "a key that the secret does not have": lambda d, s: container(d)["env"][-1]["valueFrom"]["secretKeyRef"].update(
        key="X"
    ),
    "replicas beside an autoscaler": lambda d, s: d["spec"].update(replicas=1),
    "an autoscaler of nothing": lambda d, s: s["spec"]["scaleTargetRef"].update(name="imagineer"),
    "an unknown field of KEDA's": lambda d, s: s["spec"].update(cooldown=3),
    "a number as KEDA's metadata": lambda d, s: s["spec"]["triggers"][0]["metadata"].update(listLength=2),
    "a login that is not there": lambda d, s: s["spec"]["triggers"][0]["authenticationRef"].update(name="x"),
    "a deadline before the pod counts as ready": lambda d, s: d["spec"].update(minReadySeconds=3000),
}


def planted(imagineer, change):
    """The documents of a worker that is scaled, changed, and those that they refer to."""
    documents = json.loads(imagineer)
    deployment, scaled = (
        next(each for each in documents if each["kind"] == kind and each["metadata"]["name"] == "imagineer-scraping")
        for kind in ("Deployment", "ScaledObject")
    )
    change(deployment, scaled)
    return [deployment, scaled, *(each for each in documents if each["kind"] in REFERRED_TO)]


def test_without_a_planted_mistake_none_is_found(imagineer):
    assert list(mistakes(planted(imagineer, lambda deployment, scaled: None))) == []


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(imagineer, mistake):
    assert next(mistakes(planted(imagineer, PLANTED[mistake])), None)
