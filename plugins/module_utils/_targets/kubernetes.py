# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in the words of Kubernetes: plain manifests, and a kustomization that applies them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .._celery.command import command
from .._common.quantities import parse_duration, parse_size
from . import helm, keda
from .container import (
    ABORT_TIMEOUT,
    FOLDER,
    HEARTBEAT,
    PROBE_INTERVAL,
    PROGRAMS,
    TEMPORARY,
    Service,
    all_or,
    description,
    dns_name,
    probe,
    secret_keys,
    variables,
    writable_paths,
)
from .yaml_text import Note, given

SECRET = "secret.example.yaml"  # noqa: S105
_START_INTERVAL = 5  # seconds between two looks whether a service is ready
_SHORTEST_ROLLOUT = 600  # seconds, Kubernetes' own default of progressDeadlineSeconds


def files(services: list[Service], options: Mapping[str, Any]) -> dict[str, Any]:
    """The documents by their files' names."""
    project = options["project"]
    secret, login = f"{project}-env", f"{project}-broker"
    scaled = [service for service in services if service.container["autoscale"]]
    annotations = {"evenkeel.celery/programs": helm.CHECKSUM} if options["chart"] else {}
    documents = {f"{service.name}.yaml": _objects(service, project, secret, login, annotations) for service in services}
    authentication = keda.authentication(scaled, login, secret, {"app.kubernetes.io/part-of": project})
    if authentication:
        documents["keda-authentication.yaml"] = [authentication]
    documents["network-policy.yaml"] = [_network_policy(project)]
    kustomization = _kustomization(services, list(documents), project)
    return {"kustomization.yaml": [kustomization], **documents, SECRET: [_secret(services, scaled, secret)]}


def _objects(
    service: Service, project: str, secret: str, login: str, annotations: dict[str, str]
) -> list[dict[str, Any]]:
    labels = _labels(service, project)
    objects = [_deployment(service, project, secret, annotations)]
    if _several(service):
        metadata = {"name": service.name, "labels": labels}
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": _selector(service, project)}}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
        objects.append(budget)
    if service.container["autoscale"]:
        objects += keda.objects(service, labels, login)
    return objects


def pods(service: Service) -> int:
    """The largest number of them, but for those of a rollout."""
    scale = service.container["autoscale"]
    return scale["max"] if scale else service.container["replicas"]


def _several(service: Service) -> bool:
    return pods(service) > 1


def _selector(service: Service, project: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": service.name, "app.kubernetes.io/part-of": project}


def _labels(service: Service, project: str) -> dict[str, str]:
    own = {"app.kubernetes.io/component": f"celery-{service.kind}", "app.kubernetes.io/managed-by": "evenkeel.celery"}
    return {**_selector(service, project), **own}


def _deployment(service: Service, project: str, secret: str, annotations: dict[str, str]) -> dict[str, Any]:
    labels, strategy = _labels(service, project), _strategy(service)
    revision = service.instance["revision"]
    annotations = {**annotations, **({"evenkeel.celery/revision": revision} if revision else {})}
    ready = math.ceil(parse_duration(service.instance["stay_up"]))
    # With Recreate, a rollout also waits until the old pod has finished its tasks.
    rollout = service.start + ready + 60 + (service.stop if isinstance(strategy, Note) else 0)
    spec = {
        # An apply would end busy pods if it set the number that KEDA has chosen.
        "replicas": None if service.container["autoscale"] else service.container["replicas"],
        "minReadySeconds": ready or None,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": max(_SHORTEST_ROLLOUT, rollout),
        "strategy": strategy,
        "selector": {"matchLabels": _selector(service, project)},
        "template": {
            "metadata": given({"labels": labels, "annotations": annotations}),
            "spec": _pod(service, project, secret),
        },
    }
    metadata = {"name": service.name, "labels": labels}
    version = Note(description(service), "apps/v1")
    return {"apiVersion": version, "kind": "Deployment", "metadata": metadata, "spec": given(spec)}


def _strategy(service: Service) -> Note | dict[str, Any]:
    """How a new version takes the place of the old one."""
    recreate = {"type": "Recreate"}
    if service.kind == "beat":
        return Note("Two beats would send each task twice.", recreate)
    if service.container["gpu"]:
        return Note("A new pod would wait for the GPU that the old one keeps until the new one is ready.", recreate)
    if service.container["volumes"] and not _several(service):
        return Note("A new pod may have to wait until the old one has released the claim.", recreate)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def _pod(service: Service, project: str, secret: str) -> dict[str, Any]:
    container = service.container
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(service, project)},
    }
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    return given(
        {
            "terminationGracePeriodSeconds": service.stop,
            "automountServiceAccountToken": False,
            "enableServiceLinks": Note("A Service named redis would set REDIS_PORT, which applications read.", False),
            "shareProcessNamespace": Note("Kubernetes' own first process reaps what tasks leave behind.", True),
            "securityContext": given(
                {
                    "runAsNonRoot": True,
                    "runAsUser": container["uid"],
                    "runAsGroup": container["gid"],
                    "fsGroup": container["gid"],
                    # Not for each file of a claim at each start.
                    "fsGroupChangePolicy": "OnRootMismatch" if container["volumes"] else None,
                    "seccompProfile": {"type": "RuntimeDefault"},
                }
            ),
            "nodeSelector": container["node_selector"],
            "tolerations": [gpu] if container["gpu"] else None,
            "topologySpreadConstraints": [spread] if _several(service) else None,
            "containers": [_container(service, secret)],
            "volumes": [
                {"name": FOLDER, "configMap": {"name": _config_map(project)}},
                *({"name": volume_name(path), "emptyDir": {}} for path in TEMPORARY),
                *(_volume(service, path) for path in writable_paths(service)),
            ],
        }
    )


def _container(service: Service, secret: str) -> dict[str, Any]:
    paths = [*TEMPORARY, *writable_paths(service)]
    drop = {"capabilities": {"drop": ["ALL"]}} if service.sandbox("CapabilityBoundingSet") else {}
    return given(
        {
            "name": service.kind,
            "image": service.container["image"],
            "command": [_literal(word) for word in command(service.instance)],
            "workingDir": service.instance["directory"],
            "env": _variables(service, secret),
            "resources": _resources(service),
            "securityContext": {
                "allowPrivilegeEscalation": not service.sandbox("NoNewPrivileges"),
                "readOnlyRootFilesystem": service.sandbox("ProtectSystem"),
                **drop,
            },
            "volumeMounts": [
                {"name": FOLDER, "mountPath": PROGRAMS, "readOnly": True},
                *({"name": volume_name(path), "mountPath": path} for path in paths),
            ],
            **_probes(service),
        }
    )


def _probes(service: Service) -> dict[str, Any]:
    alive = probe(service)
    return {
        "lifecycle": Note(
            "A pod's /tmp outlives its containers: an old heartbeat must not vouch for a new one.",
            {"postStart": {"exec": {"command": ["rm", "-f", HEARTBEAT]}}},
        ),
        "startupProbe": {
            "exec": {"command": ["test", "-e", HEARTBEAT]},
            "periodSeconds": _START_INTERVAL,
            "timeoutSeconds": 5,
            "failureThreshold": max(1, math.ceil(service.start / _START_INTERVAL)),
            "terminationGracePeriodSeconds": ABORT_TIMEOUT,
        },
        "livenessProbe": alive
        and {
            "exec": {"command": alive},
            "periodSeconds": PROBE_INTERVAL,
            "timeoutSeconds": 10,
            "failureThreshold": 2,
            "terminationGracePeriodSeconds": Note(
                "One that hangs can't finish its tasks: not the pod's whole grace period.", ABORT_TIMEOUT
            ),
        },
    }


def _resources(service: Service) -> dict[str, Any]:
    instance, container = service.instance, service.container
    reserved = instance["memory_high"] or instance["memory_max"]
    gpu = str(container["gpu"]) if container["gpu"] else None
    requests = {"memory": reserved and _quantity(reserved), "cpu": container["cpu"], "nvidia.com/gpu": gpu}
    limits = {
        "memory": instance["memory_max"] and _quantity(instance["memory_max"]),
        "cpu": container["cpu_limit"],
        "nvidia.com/gpu": gpu,
    }
    return given({"requests": given(requests), "limits": given(limits)})


def _variables(service: Service, secret: str) -> list[dict[str, Any]]:
    values = [{"name": name, "value": _literal(value)} for name, value in sorted(variables(service).items())]
    references = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, key in service.secrets.items()
    ]
    return values + references


def _volume(service: Service, path: str) -> dict[str, Any]:
    claim = service.container["volumes"].get(path)
    return {
        "name": volume_name(path),
        **({"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}),
    }


def volume_name(path: str) -> str:
    """Its end tells the most about a path that is too long for a name."""
    return dns_name(path)[-63:].strip("-")


def _network_policy(project: str) -> dict[str, Any]:
    return {
        "apiVersion": Note(
            "Workers and beats serve nobody. Whom they connect to is the application's affair.", "networking.k8s.io/v1"
        ),
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{project}-no-ingress"},
        "spec": {
            "podSelector": {
                "matchLabels": {"app.kubernetes.io/part-of": project, "app.kubernetes.io/managed-by": "evenkeel.celery"}
            },
            "policyTypes": ["Ingress"],
        },
    }


def _kustomization(services: list[Service], resources: list[str], project: str) -> dict[str, Any]:
    programs = dict.fromkeys(program for service in services for program in service.programs)
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
        "configMapGenerator": Note(
            "Named after their content, so that a new program rolls out all services.",
            [{"name": _config_map(project), "files": [f"{FOLDER}/{program}" for program in programs]}],
        ),
    }


def _config_map(project: str) -> str:
    return f"{project}-programs"


def _secret(services: list[Service], scaled: list[Service], name: str) -> dict[str, Any]:
    values: dict[str, Any] = {key: Note(all_or(names, services), "") for key, names in secret_keys(services).items()}
    values |= {key: Note(what, "") for key, what in keda.secret_keys(scaled).items()}
    return {
        "apiVersion": Note("Copy this, write the values, apply it, and keep it out of the repository.", "v1"),
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": values,
    }


def _literal(text: str) -> str:
    """Kubernetes replaces $(NAME) and $$ in commands and in variables, but not in probes."""
    return str(text).replace("$", "$$")


def _quantity(size: Any) -> str:
    mebi = -(-parse_size(size) // 2**20)
    return f"{mebi // 1024}Gi" if mebi % 1024 == 0 else f"{mebi}Mi"
