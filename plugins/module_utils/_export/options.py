# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an export needs beside the services themselves: each option is written here, and nowhere else by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._celery.options import KINDS, for_modules
from .._common.options import Option, with_defaults

TARGETS = ("compose", "kubernetes", "render")

AUTOSCALE = (
    Option("min", "int", "The least number of replicas. With V(0) an idle worker costs nothing.", 0),
    Option("max", "int", "The largest number of replicas.", required=True),
    Option("tasks", "int", "One replica for so many waiting tasks.", 1),
)
MACHINE = (
    Option("memory", "size", "Its memory.", required=True),
    Option("processors", "int", "Its processors.", 1),
)

# Of a service, by its name.
CONTAINER = (
    Option("image", "str", "The image, if it is not the same as that of the others."),
    Option(
        "executable",
        "str",
        "The C(celery) command in the image, such as V(celery). By default the server's path.",
        "",
    ),
    Option("directory", "str", "The application's directory in the image. By default the server's.", ""),
    Option("uid", "int", "The user ID that the container runs as. Not root's.", 10001),
    Option("gid", "int", "The group ID that the container runs as.", 10001),
    Option(
        "replicas",
        "int",
        "How many of this worker run. By default as many as there are hosts in the inventory that run it.",
    ),
    Option("cpu", "str", "The CPU that is set aside for it, such as V(500m) or V(2). Only for Kubernetes."),
    Option("cpu_limit", "str", "The CPU that it may use at most, such as V(2). Only for compose and Kubernetes."),
    Option("gpu", "int", "How many GPUs of NVIDIA's it needs. Only for compose and Kubernetes.", 0),
    Option(
        "autoscale",
        "dict",
        "Lets KEDA set the number of replicas by the length of the worker's queues. Only for Kubernetes.",
        options=AUTOSCALE,
    ),
    Option(
        "volumes",
        "dict",
        "For each of the service's writable paths the volume (compose) or the claim (Kubernetes) that keeps it. What is"
        " in other paths is gone with the container.",
        {},
    ),
    Option("node_selector", "dict", "The labels of the nodes that it may run on. Only for Kubernetes.", {}),
    Option(
        "machine",
        "dict",
        "What its profile chooses for. A container has no machine of its own, so without it a profile chooses nothing.",
        options=MACHINE,
    ),
    Option("plan", "str", "Render's plan. By default the smallest one that holds C(memory_max).", ""),
)

RENDER = (
    Option(
        "runtime",
        "str",
        "How Render gets the application: from O(image), by a Dockerfile, or by its own Python.",
        "image",
        choices=("image", "docker", "python"),
    ),
    Option("build_command", "str", "What builds it with V(runtime=python).", "pip install -r requirements.txt"),
)

EXPORT = (
    Option("target", "str", "The platform.", required=True, choices=TARGETS),
    Option(
        "directory",
        "path",
        (
            "Where the files are written, on the controller. It is made if it does not exist.",
            "Files of an earlier export of the same project to the same platform are replaced, or removed if they are"
            " not needed any more. No others are touched.",
        ),
        required=True,
    ),
    Option(
        "project",
        "str",
        "What the services are together: the first part of the names of what they share, such as the secret.",
        "celery",
    ),
    Option("image", "str", "The image with the application, such as V(registry.example.com/shop:1.4)."),
    Option(
        "build",
        "str",
        "The directory with the Dockerfile, relative to C(compose.yaml), if compose should build O(image). Only for"
        " compose.",
        "",
    ),
    Option(
        "broker",
        "str",
        "An image of Redis or RabbitMQ for development, such as V(redis:7). C(compose.yaml) then has it in its profile"
        " V(development), and C(.env.example) the broker's URL. Only for compose.",
        "",
    ),
    Option(
        "plain",
        "list",
        "The names of the environment variables whose values may stand in files. All others become references: to"
        " C(.env) (compose), to a Secret (Kubernetes), to what is entered in the dashboard (Render).",
        (),
        elements="str",
    ),
    Option(
        "defaults",
        "dict",
        "What the services have in common: any option of O(workers).",
        {},
        options=tuple(replace(option, default=None) for option in CONTAINER),
    ),
    Option(
        "workers",
        "dict",
        "What a server has no word for, by the names of the services, beats as well as workers: see O(defaults) for the"
        " options.",
        {},
    ),
    Option(
        "chart",
        "bool",
        "Whether the manifests are a Helm chart, in place of a kustomization. Only for Kubernetes.",
        False,
    ),
    Option("render", "dict", "How Render builds and starts the services. Only for Render.", {}, options=RENDER),
)


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an export, with a value for each."""
    options = with_defaults(EXPORT, given)
    return {**options, "render": with_defaults(RENDER, options["render"])}


# The services themselves, as the roles pass them to M(evenkeel.celery.celery_services).
INSTANCES = tuple(
    replace(
        for_modules(),
        name=f"{kind}_instances",
        description=f"The {kind}s of all hosts. Those of one name, from several hosts, have to be the same.",
        required=False,
        default=(),
    )
    for kind in KINDS
)
