#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: celery_export
short_description: Write workers and beats as files for compose, Kubernetes or Render
version_added: "0.3.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Writes the services that M(evenkeel.celery.celery_services) runs with systemd as files for another platform. They
    have the same command line and the same watchdog.
  - Nothing is deployed. The files are for people to read, keep in a repository and apply.
  - What the platform can't do as systemd does is a warning that names the option.
  - The values of environment variables that are not named in O(plain) are in none of the files.
extends_documentation_fragment:
  - evenkeel.celery.export
options:
  programs:
    description:
      - The texts of the programs that the services load, by their file names. A worker loads C(evenkeel_watchdog.py), a
        beat C(evenkeel_beat.py), both C(evenkeel_heartbeat.py).
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would be written and removed.
  diff_mode:
    support: full
    description: Shows each file before and after.
notes:
  - Runs on the controller, with a local connection.
seealso:
  - module: evenkeel.celery.celery_services
"""

EXAMPLES = r"""
- name: Write the workers for Kubernetes
  evenkeel.celery.celery_export:
    target: kubernetes
    directory: /srv/shop/kubernetes
    project: shop
    image: registry.example.com/shop:1.4
    plain: [DJANGO_SETTINGS_MODULE]
    worker_instances: "{{ workers | map('evenkeel.celery.with_encoded_environment') }}"
    workers:
      shop-reports: {cpu: 500m, autoscale: {max: 4}}
    programs:
      evenkeel_watchdog.py: "{{ lookup('ansible.builtin.file', 'evenkeel_watchdog.py', rstrip=false) }}"
      evenkeel_heartbeat.py: "{{ lookup('ansible.builtin.file', 'evenkeel_heartbeat.py', rstrip=false) }}"
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: All files of the export, by their paths below O(directory).
  returned: success
  type: list
  elements: str
  sample: [kustomization.yaml, shop-reports.yaml]
removed:
  description: The files of an earlier export that are removed.
  returned: success
  type: list
  elements: str
  sample: [shop-mails.yaml]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.options import (
    KINDS,
    Instance,
    complete,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.secrets import shown
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._export import files
from ansible_collections.evenkeel.celery.plugins.module_utils._export.errors import errors
from ansible_collections.evenkeel.celery.plugins.module_utils._export.options import CONTAINER, EXPORT, INSTANCES
from ansible_collections.evenkeel.celery.plugins.module_utils._export.options import complete as complete_export
from ansible_collections.evenkeel.celery.plugins.module_utils._export.services import services
from ansible_collections.evenkeel.celery.plugins.module_utils._export.warnings import warnings


def main() -> None:
    module = AnsibleModule(
        argument_spec={**argument_spec((*EXPORT, *INSTANCES)), "programs": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    options = complete_export({option.name: module.params[option.name] for option in EXPORT})
    options["workers"] = container_options(module, options["workers"])
    found = read_instances(module)
    wrong = [shown(error, found) for error in errors(found, options)]
    if wrong:
        module.fail_json(msg="\n".join(wrong))
    exported = services(found, options)
    missing = {program for service in exported for program in service.programs} - set(module.params["programs"])
    if missing:
        module.fail_json(msg=f"programs: {', '.join(sorted(missing))} is missing. Pass its text.")
    try:
        result = export(module, files.wanted(exported, options, module.params["programs"]), options)
    except (files.ForeignFileError, OSError) as error:
        module.fail_json(msg=printable(error, None))
    for warning in warnings(exported, options):
        module.warn(shown(warning, found))
    module.exit_json(**result)


def read_instances(module: AnsibleModule) -> list[Instance]:
    try:
        return [complete(each, kind) for kind in KINDS for each in module.params[f"{kind}_instances"]]
    except ValueError as error:
        return module.fail_json(msg=str(error))


def container_options(module: AnsibleModule, workers: dict[str, Any]) -> dict[str, Any]:
    """The options of each service; Ansible itself can't check dictionaries whose keys are names."""
    optional = argument_spec(CONTAINER)
    for fields in optional.values():
        fields.pop("default", None)
    checked, wrong = {}, []
    for name, entry in workers.items():
        result = ArgumentSpecValidator(optional).validate(entry or {}) if isinstance(entry or {}, dict) else None
        if result is None:
            wrong.append(f"celery_export_workers: {printable(name)} is not a dictionary of options.")
            continue
        wrong += [
            f"celery_export_workers: {printable(name)}: {printable(message)}" for message in result.error_messages
        ]
        checked[name] = {key: value for key, value in result.validated_parameters.items() if value is not None}
    if wrong:
        module.fail_json(msg="\n".join(wrong))
    return checked


def export(module: AnsibleModule, texts: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Writes what differs, and removes what is not needed any more; returns the module's result."""
    directory = Path(options["directory"])
    changes = files.changes(directory, texts, options)
    if changes and not module.check_mode:
        files.write(directory, changes)
    return {
        "changed": bool(changes),
        "files": sorted(texts),
        "removed": sorted(name for name, (_before, after) in changes.items() if after is None),
        "diff": [
            {
                "before_header": str(directory / name),
                "after_header": str(directory / name) if after is not None else "(removed)",
                "before": before,
                "after": after or "",
            }
            for name, (before, after) in sorted(changes.items())
        ],
    }


if __name__ == "__main__":
    main()
