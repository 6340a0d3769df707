# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' manifests as a Helm chart. It has no values: the inventory is where services are changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .container import FOLDER

TEMPLATES = "templates"
# What kustomize does otherwise: the programs' ConfigMap, and a rollout of the services if a program changes.
_PROGRAMS = f"(.Files.Glob `{FOLDER}/*.py`).AsConfig"
CHECKSUM = f"{{{{ {_PROGRAMS} | sha256sum }}}}"
_CONFIG_MAP = """\
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  {{{{- {programs} | nindent 2 }}}}
"""
_CHART = """\
---
apiVersion: v2
name: {project}
description: Celery workers and beats of {project}
type: application
version: 1.0.0
"""
_OUTSIDE = ("kustomization.yaml", "secret.example.yaml")


def chart(texts: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """The files of the chart. texts: those of the manifests, by their names."""
    project = options["project"]
    manifests = {name: text for name, text in texts.items() if name not in _OUTSIDE}
    return {
        "Chart.yaml": _CHART.format(project=project),
        **{name: text for name, text in texts.items() if name in _OUTSIDE[1:]},
        **{f"{TEMPLATES}/{name}": _escaped(text) for name, text in manifests.items()},
        f"{TEMPLATES}/programs.yaml": _CONFIG_MAP.format(name=f"{project}-programs", programs=_PROGRAMS),
    }


def _escaped(text: str) -> str:
    """Helm takes all that is in double braces for its own."""
    return CHECKSUM.join(part.replace("{{", "{{ `{{` }}") for part in text.split(CHECKSUM))
