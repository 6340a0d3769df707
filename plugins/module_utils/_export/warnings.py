# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform can't do as systemd does: a sentence for each option, with the names of the services.

Every option of a worker and of a beat either changes what is written for the platform, or is named here. A unit test
holds that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .._celery.command import stop_timeout
from .._celery.options import BEAT_SANDBOX, KINDS, SANDBOX, Instance, time_limit
from .._common.quantities import parse_size
from .._common.texts import printable
from .._targets import compose, keda, kubernetes, render
from .._targets.container import (
    FOLDER,
    PROGRAMS,
    Service,
    all_or,
    broker_url,
    own_paths,
    schedule_directory,
    writable_paths,
)

_RUNTIME = {"compose": "Docker", "kubernetes": "Kubernetes", "render": "Render"}
# Seconds after which the cluster autoscaler kills the pods of a node that it drains, unless it is told otherwise.
_DRAIN = 600
# What a container has in place of these directives, see docs/export.md.
_MAPPED_DIRECTIVES = {"ProtectSystem", "CapabilityBoundingSet", "NoNewPrivileges"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

# Where the options of a container may come from.
_SET_IN = "celery_export_defaults or celery_export_workers"

# Options without a counterpart on any of these platforms, and what to know or to do instead.
_NO_COUNTERPART = {
    "user": "is a user of the servers. The container runs as UID {uid}, GID {gid}",
    "group": "is a group of the servers. The container runs as UID {uid}, GID {gid}",
    "log_rate_limit": "limits what the journal takes. {runtime} takes all of the output",
    "restart_sec": "can't be set: {runtime} itself chooses how long it waits before a restart",
    "start_limit_burst": "can't be set: {runtime} never gives up",
    "start_limit_interval": "can't be set: {runtime} never gives up",
    "after": "names units of a server. Here the service itself waits for its broker",
    "restart_on": "names files of a server. Here a new image or tag restarts the service",
    "stale_workers": "is not needed: what a container leaves behind ends with it",
    "stale_workers_users": "is not needed: what a container leaves behind ends with it",
    "stale_workers_timeout": "is not needed: what a container leaves behind ends with it",
    "stale_beats": "is not needed: what a container leaves behind ends with it",
    "stale_beats_users": "is not needed: what a container leaves behind ends with it",
    "stale_beats_timeout": "is not needed: what a container leaves behind ends with it",
    "preflight_command": "is not run. Run it where the image is built or deployed",
    "check_databases": "is a check of the servers' preflight, which no container has",
    "unenforced": "is about the servers' preflight. Look on the platform whether the limits hold",
}
# Further ones of a single platform.
_NOT_ON = {
    "compose": {
        "memory_high": "can't be set: compose limits memory only by memory_max",
        "stay_up": "can't be set: compose does not roll back. Watch docker compose ps after a change",
    },
    "kubernetes": {
        "log_file": "is not written. The container runtime keeps and rotates the output",
        "log_max_size": "is not used. The kubelet rotates the output (containerLogMaxSize)",
        "memory_high": "is what the scheduler reserves (requests). Nothing slows the worker down above it",
        "memory_swap_max": "can't be set: the kubelet decides on swap (memorySwap)",
        "oom_score_adj": "can't be set: the kubelet derives it from requests and limits",
    },
    "render": {
        "user": "is a user of the servers. Render runs it as the image's, or as its own",
        "group": "is a group of the servers. Render runs it as the image's, or as its own",
        "directory": "is not used. The command runs in the image's WORKDIR or, with Render's Python, in the repository",
        "log_file": "is not written. Render keeps the output",
        "log_max_size": "is not used. Render keeps the output",
        "memory_high": "can't be set: Render limits memory only by the plan",
        "memory_swap_max": "can't be set: Render limits memory only by the plan",
        "oom_score_adj": "can't be set",
        "start_timeout": "can't be set: Render has no probes for workers",
        "stay_up": "can't be set: Render does not wait before it stops the old instance",
        "revision": "is not used. Render deploys each commit or image by itself",
    },
}
# Options of a container that only other platforms have.
_CONTAINER_NOT_ON = {
    "compose": ("cpu", "autoscale", "node_selector", "plan"),
    "kubernetes": ("plan",),
    "render": ("cpu", "cpu_limit", "gpu", "autoscale", "volumes", "node_selector"),
}


def warnings(services: list[Service], options: Mapping[str, Any]) -> list[str]:
    """The warnings, each once, with the names of all services that it is about."""
    about: dict[str, list[str]] = {}
    for service in services:
        for each in _of(service, options):
            about.setdefault(each, []).append(service.name)
    lines = [f"{all_or(names, services)}: {sentence}." for sentence, names in about.items()]
    return [*lines, *_of_all(services, options)]


def _of(service: Service, options: Mapping[str, Any]) -> Iterator[str]:
    target, instance, container = options["target"], service.instance, service.container
    sentences = {**_NO_COUNTERPART, **_NOT_ON[target]}
    for option in KINDS[service.kind]:
        default = list(option.default or ()) if option.type == "list" else option.default
        if option.name in sentences and instance[option.name] != default:
            sentence = sentences[option.name].format(
                runtime=_RUNTIME[target], uid=container["uid"], gid=container["gid"]
            )
            yield f"{option.name} {sentence}"
    for name in _CONTAINER_NOT_ON[target]:
        if container[name]:
            yield f"{name} of {_SET_IN} has no counterpart on {_RUNTIME[target]}"
    yield from _common(service, options)
    yield from _ON[target](service, options)


def _common(service: Service, options: Mapping[str, Any]) -> Iterator[str]:
    instance = service.instance
    profile = instance.get("profile") or {}
    chooses = any(profile.get(option) for option in ("task_memory", "max_concurrency", "machines"))
    if chooses and not service.container["machine"]:
        yield (
            f"profile chooses nothing, as a container has no machine of its own. Set machine in {_SET_IN}, or"
            " concurrency and memory_max"
        )
    if instance["memory_max"] is None:
        yield "memory_max is not set. Without it a task may use up all of the machine's memory"
    host = _host(broker_url(instance))
    if host in _LOOPBACK and not (options["target"] == "compose" and options["broker"]):
        yield f"CELERY_BROKER_URL is on {host}, which in a container is the container itself. Set another URL there"
    if service.kind == "worker" and instance["stop_timeout"] is None and time_limit(instance) is None:
        yield (
            f"time_limit and stop_timeout are not set, so a stop waits for {stop_timeout(instance):g} s. If the"
            " application sets a longer time limit, set stop_timeout"
        )
    if "PYTHONPATH" not in service.plain:
        yield (
            f"PYTHONPATH is set to {PROGRAMS}. If the image sets one, add it to environment and to celery_export_plain"
        )
    yield from _sandbox(service, options["target"])


def _sandbox(service: Service, target: str) -> Iterator[str]:
    default = {"worker": SANDBOX, "beat": BEAT_SANDBOX}[service.kind]
    mapped = set() if target == "render" else _MAPPED_DIRECTIVES
    changed = {
        directive
        for directive, value in service.instance["sandbox"].items()
        if value != default.get(directive) and directive not in mapped
    }
    if service.container["gpu"]:
        changed.discard("PrivateDevices")
    if changed:
        yield (
            f"sandbox: {', '.join(map(printable, sorted(changed)))} can't be set: a container's isolation is the"
            " runtime's own"
        )


def _of_compose(service: Service, _options: Mapping[str, Any]) -> Iterator[str]:
    instance = service.instance
    if compose.RESTART[instance["restart"]] != instance["restart"]:
        yield f"restart {instance['restart']} becomes {compose.RESTART[instance['restart']]}, the nearest of compose's"
    if instance["memory_swap_max"] is not None and instance["memory_max"] is None:
        yield "memory_swap_max can't be set without memory_max: Docker limits both together"
    if instance["oom_policy"] != "continue":
        yield f"oom_policy {instance['oom_policy']} can't be set: Docker goes on after the kernel has killed a child"
    kept = [path for path in writable_paths(service) if path in {*own_paths(instance), *service.container["volumes"]}]
    if kept:
        yield (
            f"writable_paths: the image needs {', '.join(kept)}, owned by UID {service.container['uid']}, as a new"
            " volume takes its owner from there"
        )
    yield from _schedule(service)


def _of_kubernetes(service: Service, _options: Mapping[str, Any]) -> Iterator[str]:
    instance, container = service.instance, service.container
    if instance["restart"] != "always":
        yield f"restart {instance['restart']} can't be set: a Deployment always restarts its pods"
    if service.kind == "worker" and instance["oom_policy"] == "continue" and instance["memory_max"]:
        yield (
            "oom_policy continue can't be had: with cgroup v2, Kubernetes 1.28 and later kill the whole container if a"
            " task takes too much memory. Set max_memory_per_child, or one child per worker"
        )
    elif instance["oom_policy"] == "stop":
        yield "oom_policy stop can't be had: Kubernetes kills the container, and restarts it"
    if not container["cpu"]:
        yield f"cpu is not set in {_SET_IN}, so the scheduler reserves none"
    for path in own_paths(instance):
        if path not in container["volumes"]:
            yield (
                f"writable_paths {path}: what is written there is gone with the pod. Name a claim in volumes of"
                f" {_SET_IN}"
            )
    yield from _schedule(service)
    if stop_timeout(instance) > _DRAIN:
        yield (
            f"a stop may take {stop_timeout(instance):g} s. The cluster autoscaler kills a drained node's pods after"
            f" {_DRAIN} s, unless --max-graceful-termination-sec says otherwise; a spot node has much less"
        )
    if container["autoscale"]:
        yield from _autoscale(instance)


def _autoscale(instance: Instance) -> Iterator[str]:
    limit, transport = time_limit(instance), instance["settings"].get("broker_transport_options") or {}
    if limit is None:
        yield "time_limit is not set, so nobody knows how long a replica that KEDA takes away may need"
    elif limit > keda.LONGEST_WINDOW:
        yield f"time_limit {instance['time_limit']} is above the hour for which an autoscaler can keep an idle replica"
    if keda.kind(instance) == "rabbitmq":
        yield (
            "KEDA counts only ready messages over amqp, not the active tasks. A trigger of the management API (http)"
            " counts both"
        )
    if transport.get("unacked_key") and not (
        instance["settings"].get("task_acks_late") and instance["prefetch_multiplier"] == 1
    ):
        yield "unacked_key counts the active tasks only with task_acks_late and prefetch_multiplier 1"


def _of_render(service: Service, options: Mapping[str, Any]) -> Iterator[str]:
    instance = service.instance
    if instance["restart"] != "always":
        yield f"restart {instance['restart']} can't be set: Render always restarts"
    if service.kind == "worker" or instance["oom_policy"] != "continue":
        yield f"oom_policy {instance['oom_policy']} can't be had: Render restarts an instance that is out of memory"
    if service.stop > render.LONGEST_STOP:
        late = instance["settings"].get("task_acks_late")
        lost = "are handed back to the broker" if late else "are lost, as task_acks_late is not set"
        yield f"Render waits {render.LONGEST_STOP} s for a stop, not {service.stop}: longer tasks {lost}"
    if instance["memory_max"]:
        chosen = render.plan(service)
        memory = render.plan_memory(chosen)
        if parse_size(memory) != parse_size(instance["memory_max"]):
            yield f"memory_max {instance['memory_max']} becomes {memory}, the memory of the plan {chosen}"
    if own_paths(instance):
        paths = ", ".join(own_paths(instance))
        yield (
            f"writable_paths {paths}: what is written there is gone with the instance. A disk is not exported: it"
            " allows only one instance, and no maxShutdownDelaySeconds"
        )
    yield from _schedule(service)
    if options["render"]["runtime"] == "python":
        if "/" in instance["executable"]:
            yield f"executable {instance['executable']} is a path of the servers. Set executable: celery"
    else:
        yield f"the image needs our programs: add COPY {FOLDER}/ {PROGRAMS}/ to its Dockerfile"


def _schedule(service: Service) -> Iterator[str]:
    """Of a beat, whose file says when it sent what."""
    if service.kind != "beat" or "django_celery_beat" in (service.instance["scheduler"] or ""):
        return
    path = schedule_directory(service.instance)
    if path not in {*service.container["volumes"], *service.instance["writable_paths"]}:
        yield (
            "the schedule file is gone with the container, so intervals of hours begin anew. Use crontab times, a"
            f" scheduler with a database, or a volume for {path}"
        )


def _of_all(services: list[Service], options: Mapping[str, Any]) -> Iterator[str]:
    known = {name for service in services for name in service.instance["environment"]}
    unknown = [name for name in options["plain"] if name not in known]
    if unknown:
        yield f"celery_export_plain: no service has the variables {', '.join(map(printable, unknown))}."
    if options["target"] == "kubernetes":
        yield from _shared_claims(services)
    shared: dict[str, list[str]] = {}
    for service in services:
        key = (service.instance["settings"].get("broker_transport_options") or {}).get("unacked_key")
        if key and service.container["autoscale"]:
            shared.setdefault(str(key), []).append(service.name)
    for key, names in shared.items():
        if len(names) > 1:
            yield f"{', '.join(names)}: they share the unacked_key {printable(key)}, so each counts the tasks of all."


def _shared_claims(services: list[Service]) -> Iterator[str]:
    users: dict[str, list[Service]] = {}
    for service in services:
        for claim in dict.fromkeys(service.container["volumes"].values()):
            users.setdefault(claim, []).append(service)
    for claim, found in users.items():
        number = sum(kubernetes.pods(service) for service in found)
        if number > 1:
            names = all_or([service.name for service in found], services)
            yield f"{names}: the claim {claim} has to be ReadWriteMany: up to {number} pods use it."


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


_ON: dict[str, Callable[[Service, Mapping[str, Any]], Iterator[str]]] = {
    "compose": _of_compose,
    "kubernetes": _of_kubernetes,
    "render": _of_render,
}
