# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in the options of an export, each a sentence with the option, its value and what is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._celery import errors as of_services
from .._celery.options import KINDS, Instance
from .._common.options import hidden_characters
from .._common.quantities import parse_size
from .._common.secrets import assigned_secrets, says_secret
from .._common.texts import printable
from .._targets import keda, kubernetes, render
from .._targets.container import FOLDER, PROGRAMS, RESERVED, TEMPORARY, Service, broker_url, dns_name, writable_paths
from .options import CONTAINER, EXPORT
from .services import containers, merged

LONGEST_NAME = 63  # characters of a name in Kubernetes, RFC 1123
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_CPU = re.compile(r"\d+m|\d+(\.\d{1,3})?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,500}")


def errors(instances: list[Instance], options: Mapping[str, Any]) -> Iterator[str]:
    """All errors. If there is none, the services can be exported."""
    hidden = list(hidden_characters(EXPORT, {**options, "workers": None}))
    for name, entry in (options["workers"] or {}).items():
        hidden += hidden_characters(CONTAINER, entry or {}, f"celery_export_workers: {printable(name)}: ")
    if hidden:
        yield from hidden
        return
    by_name = merged(instances)
    for kind in KINDS:
        yield from of_services.errors([each[0] for each in by_name.values() if each[0]["kind"] == kind])
    if not instances:
        yield "There are no workers and no beats. Set celery_worker_instances for hosts of the group celery_workers."
    yield from _wrong_names(by_name, options)
    yield from _wrong_plain([instance for each in by_name.values() for instance in each], options["plain"])
    by_container = containers(by_name, options)
    if options["target"] == "kubernetes":
        yield from _different_brokers([by_name[name][0] for name, each in by_container.items() if each["autoscale"]])
    for name, container in by_container.items():
        yield from (f"{name}: {error}" for error in _wrong_service(by_name[name], container, options))


def _wrong_names(by_name: Mapping[str, list[Instance]], options: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(options["project"]):
        yield (
            f"celery_export_project '{printable(options['project'])}' can't begin names of what the services share. Use"
            " up to 63 lower-case letters, digits and '-', no '-' first or last."
        )
    for name in options["workers"] or {}:
        if name not in by_name:
            known = ", ".join(by_name)
            yield f"celery_export_workers: no service is called {printable(name)!r}. Name some of these: {known}."
    taken: dict[str, str] = {}
    for name in by_name:
        short = dns_name(name)
        if not _NAME.fullmatch(short):
            yield f"{name}: this name becomes '{short}', which has to have 1 to {LONGEST_NAME} characters. Rename it."
        elif short in taken:
            yield f"{name}: this name and {taken[short]} both become '{short}'. Rename one of them."
        elif short in keda.BROKERS and options["broker"]:
            yield f"{name}: the broker's service is called '{short}' too. Rename it, or leave broker out."
        taken[short] = name
        yield from _different_hosts(name, by_name[name])


def _different_hosts(name: str, hosts: list[Instance]) -> Iterator[str]:
    kinds = {each["kind"] for each in hosts}
    if len(kinds) > 1:
        yield f"{name}: a worker and a beat have this name. Rename one of them."
        return
    different = sorted(
        {option for other in hosts[1:] for option in other if other[option] != hosts[0][option]} - {"given"}
    )
    if different:
        yield (
            f"{name}: {', '.join(different)} differ between the hosts that run it. Give the service another name on"
            " these hosts, or the same options."
        )


def _different_brokers(scaled: list[Instance]) -> Iterator[str]:
    if len({broker_url(instance) for instance in scaled}) > 1:
        names = ", ".join(instance["name"] for instance in scaled)
        yield (
            f"{names}: autoscale: they have different brokers, but KEDA logs in to one. Export them as projects of"
            " their own."
        )


def _wrong_plain(instances: Iterable[Instance], plain: list[str]) -> Iterator[str]:
    instances = list(instances)
    for variable in dict.fromkeys(plain):
        values = [str(each["environment"].get(variable) or "") for each in instances]
        if says_secret(variable) or any(map(assigned_secrets, values)):
            yield (
                f"celery_export_plain: {printable(variable)} looks like a secret, and its value would stand in the"
                " files. Remove it from there: what is not named there becomes a reference."
            )
    for instance in instances:
        for variable in RESERVED:
            if variable in instance["environment"]:
                yield f"{instance['name']}: environment: {variable} is set by the export. Remove it."
        if instance["environment"].get("PYTHONPATH") and "PYTHONPATH" not in plain:
            yield (
                f"{instance['name']}: environment: PYTHONPATH has to be in celery_export_plain, as the directory of"
                " our programs is added to it."
            )


def _wrong_service(hosts: list[Instance], container: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    instance, target = hosts[0], options["target"]
    image = container["image"] or ""
    if not image and (target != "render" or options["render"]["runtime"] == "image"):
        yield (
            "image is required. Set celery_export_image to the one with the application, like"
            " registry.example.com/shop:1.4, or image of this service in celery_export_workers."
        )
    elif image and not _IMAGE.fullmatch(image):
        yield f"image '{printable(image)}' is not the name of an image. Write it like registry.example.com/shop:1.4."
    for option in ("uid", "gid"):
        if not 1 <= container[option] < 2**31:
            yield f"{option} {container[option]} is not an unprivileged user's. Use 1 or more, such as 10001."
    if container["gpu"] < 0:
        yield f"gpu {container['gpu']} is too small. Use 0 or more."
    yield from _wrong_cpu(container)
    yield from _wrong_replicas(instance, container)
    yield from _wrong_volumes(instance, container["volumes"])
    for key, value in container["node_selector"].items():
        if not (_LABEL_KEY.fullmatch(str(key)) and isinstance(value, str) and _LABEL_VALUE.fullmatch(value)):
            yield (
                f"node_selector: '{printable(key)}: {printable(value)}' is not a label. Write both as texts, like nodes"
                " have them."
            )
    yield from _wrong_machine(container["machine"])
    if target == "kubernetes" and container["autoscale"]:
        yield from keda.errors(instance)
    if target == "render":
        yield from render.errors(instance, container)
    if container["directory"] and not container["directory"].startswith("/"):
        yield f"directory '{container['directory']}' is not an absolute path. Start it with '/'."


def _wrong_cpu(container: Mapping[str, Any]) -> Iterator[str]:
    cores = {}
    for option in ("cpu", "cpu_limit"):
        value = container[option]
        if value is None:
            continue
        if not _CPU.fullmatch(value) or not float(value.rstrip("m")):
            yield f"{option} '{printable(value)}' is not an amount of CPU. Write it like 500m, 2 or 1.5."
        else:
            cores[option] = float(value[:-1]) / 1000 if value.endswith("m") else float(value)
    if cores.get("cpu", 0) > cores.get("cpu_limit", float("inf")):
        yield f"cpu {container['cpu']} is above cpu_limit {container['cpu_limit']}. Lower it, or raise cpu_limit."


def _wrong_replicas(instance: Instance, container: Mapping[str, Any]) -> Iterator[str]:
    replicas, scale = container["replicas"], container["autoscale"]
    if instance["kind"] == "beat":
        if scale or replicas not in (None, 1):
            yield "a beat runs once: each of several would send every task. Remove replicas and autoscale."
        return
    if replicas is not None and replicas < 1:
        yield f"replicas {replicas} is too small. Use 1 or more, or remove the worker."
    if not scale:
        return
    if replicas is not None:
        yield f"replicas {replicas} and autoscale are both set. Remove one of them."
    if not 0 <= scale["min"] <= scale["max"] or scale["max"] < 1:
        yield f"autoscale: min {scale['min']} and max {scale['max']} are no range. Use 0 or more, and 1 or more."
    if scale["tasks"] < 1:
        yield f"autoscale: tasks {scale['tasks']} is too small. Use 1 or more."


def _wrong_volumes(instance: Instance, volumes: Mapping[str, Any]) -> Iterator[str]:
    paths = writable_paths(Service(instance, {}, {}, {}))
    for path, name in volumes.items():
        if path not in paths:
            known = f"one of these: {', '.join(paths)}" if paths else "in writable_paths of the service first"
            yield f"volumes: {printable(path)} is not a writable path of the service. Set it {known}."
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"volumes: '{printable(name)}' is not the name of a volume. Use lower-case letters, digits and '-'."
    taken = {FOLDER: PROGRAMS, **{kubernetes.volume_name(path): path for path in TEMPORARY}}
    for path in paths:
        name = kubernetes.volume_name(path)
        if ":" in path or not name or f"{path}/".startswith(f"{PROGRAMS}/"):
            yield f"writable_paths: {printable(path)} can't be a volume. Use a path without ':', below a directory."
        elif name in taken:
            yield f"writable_paths: {path} and {taken[name]} would be volumes of the same name, {name}. Rename one."
        taken[name] = path


def _wrong_machine(machine: Mapping[str, Any] | None) -> Iterator[str]:
    if not machine:
        return
    try:
        parse_size(machine["memory"])
    except ValueError as error:
        yield f"machine: memory {error}."
    if machine["processors"] < 1:
        yield f"machine: processors {machine['processors']} is too small. Use 1 or more."
