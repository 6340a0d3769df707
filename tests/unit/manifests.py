"""Mistakes in Kubernetes manifests, which a server would refuse, or which would keep a worker from running.

kubernetes-validate knows fields and their types. What it does not know is checked here: quantities, names, and whether
the parts of a set of manifests fit together.
"""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

jsonschema = pytest.importorskip("jsonschema")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

VERSION = "1.37"
KEDA = jsonschema.Draft202012Validator(
    json.loads(Path(__file__).with_name("schemas").joinpath("keda.schema.json").read_text())
)
# Kinds that kubernetes-validate has no schema for.
OTHER_APIS = ("keda.sh/", "kustomize.config.k8s.io/")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
FACTOR = {None: 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
FACTOR |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGT", 1)}


def mistakes(documents):
    """The mistakes in the documents of an export's manifests, those that are found fastest first."""
    for document in documents:
        yield from (f"{_name(document)}: {mistake}" for mistake in _of(document))
    yield from _between(documents)
    for document in documents:
        yield from (f"{_name(document)}: {mistake}" for mistake in _of_schema(document))


def _name(document):
    return document.get("metadata", document).get("name", document["kind"])


def _of(document):
    if "metadata" in document and not NAME.fullmatch(_name(document)):
        yield "not a name"
    for labels in _all(document, "labels", "matchLabels", "nodeSelector"):
        yield from (f"label {value!r}" for value in labels.values() if not LABEL.fullmatch(str(value)))
    if document["kind"] == "Deployment":
        yield from _of_deployment(document["spec"])


def _of_schema(document):
    if document["apiVersion"].startswith("keda.sh/"):
        yield from (error.message for error in KEDA.iter_errors(document))
    elif not document["apiVersion"].startswith(OTHER_APIS):
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield error.message


def _between(documents):
    """References to what is in another document."""
    by_kind = {}
    for document in documents:
        by_kind.setdefault(document["kind"], {})[_name(document)] = document
    deployments, secrets = by_kind.get("Deployment", {}), by_kind.get("Secret", {})
    maps = {each["name"] for all_maps in _all(documents, "configMapGenerator") for each in all_maps}
    for reference in _all(list(deployments.values()), "configMap"):
        if reference["name"] not in maps:
            yield f"no ConfigMap {reference['name']}"
    keys = [*_all(documents, "secretKeyRef"), *(each for some in _all(documents, "secretTargetRef") for each in some)]
    for reference in keys:
        if reference["key"] not in secrets.get(reference["name"], {}).get("stringData", ()):
            yield f"no key {reference['key']} in a Secret {reference['name']}"
    selectors = [deployment["spec"]["selector"] for deployment in deployments.values()]
    for name, budget in by_kind.get("PodDisruptionBudget", {}).items():
        if budget["spec"]["selector"] not in selectors:
            yield f"{name}: the budget is for no Deployment"
    for name, scaled in by_kind.get("ScaledObject", {}).items():
        yield from (f"{name}: {mistake}" for mistake in _of_scaled(scaled["spec"], deployments, by_kind))


def _of_scaled(spec, deployments, by_kind):
    target = deployments.get(spec["scaleTargetRef"]["name"])
    if target is None:
        yield "scales no Deployment"
    elif "replicas" in target["spec"]:
        yield "the Deployment has replicas, too"
    if spec["minReplicaCount"] > spec["maxReplicaCount"]:
        yield "minReplicaCount is above maxReplicaCount"
    for login in _all(spec["triggers"], "authenticationRef"):
        if login["name"] not in by_kind.get("TriggerAuthentication", ()):
            yield f"no TriggerAuthentication {login['name']}"


def _of_deployment(spec):
    labels, selector = spec["template"]["metadata"].get("labels", {}), spec["selector"]["matchLabels"]
    if not selector or not selector.items() <= labels.items():
        yield "the selector does not match the pod's labels"
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        yield f"strategy {strategy['type']}"
    if strategy["type"] == "Recreate" and "rollingUpdate" in strategy:
        yield "rollingUpdate with Recreate"
    if float(spec["progressDeadlineSeconds"]) <= float(str(spec.get("minReadySeconds", 0)).rstrip("s")):
        yield "progressDeadlineSeconds is not above minReadySeconds"
    pod = spec["template"]["spec"]
    volumes = [volume["name"] for volume in pod.get("volumes", ())]
    yield from (f"volume {name}" for name in volumes if not NAME.fullmatch(name) or volumes.count(name) > 1)
    for container in pod["containers"]:
        yield from _of_container(container, volumes)


def _of_container(container, volumes):
    mounts = container.get("volumeMounts", ())
    yield from (f"mount of no volume {mount['name']}" for mount in mounts if mount["name"] not in volumes)
    paths = [mount["mountPath"] for mount in mounts]
    yield from (f"mountPath {path}" for path in paths if not path.startswith("/") or paths.count(path) > 1)
    if not container.get("image"):
        yield "no image"
    yield from (f"variable {each['name']}" for each in container.get("env", ()) if not VARIABLE.fullmatch(each["name"]))
    names = [each["name"] for each in container.get("env", ())]
    yield from (f"variable {name} twice" for name in set(names) if names.count(name) > 1)
    resources = container.get("resources", {})
    amounts = {}
    for part in ("requests", "limits"):
        for resource, quantity in resources.get(part, {}).items():
            found = QUANTITY.fullmatch(quantity) if isinstance(quantity, str) else None
            if not found:
                yield f"{part} of {resource}: quantity {quantity!r}"
            else:
                amounts[part, resource] = Decimal(found[1]) * FACTOR[found[2]]
    for (part, resource), amount in amounts.items():
        if part == "requests" and amount > amounts.get(("limits", resource), Decimal("Infinity")):
            yield f"requests of {resource} are above the limits"
    for kind in ("startupProbe", "livenessProbe"):
        probe = container.get(kind, {})
        if probe.get("successThreshold", 1) != 1:
            yield f"successThreshold of the {kind}"
        yield from (f"{field} of the {kind}" for field, value in probe.items() if isinstance(value, int) and value < 1)


def _all(data, *keys):
    """The values of these keys, at any depth."""
    if isinstance(data, dict):
        yield from (value for key, value in data.items() if key in keys and value)
        for value in data.values():
            yield from _all(value, *keys)
    elif isinstance(data, list):
        for value in data:
            yield from _all(value, *keys)
