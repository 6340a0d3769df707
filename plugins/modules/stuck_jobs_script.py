#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stuck_jobs_script
short_description: Install cleanup_stuck_jobs.py and its engine
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Installs C(cleanup_stuck_jobs.py) and, beside it, the engine of M(evenkeel.celery.sqlite_stuck_jobs), which is a
    package of small files. All of it in one call, where copying would take one for each file.
  - Files of an older engine, that the new one no longer has, are removed.
options:
  directory:
    description: Where to. It is made if it isn't there.
    type: path
    default: /usr/local/lib/evenkeel
  script:
    description: The text of the script. Required with O(state=present).
    type: str
  state:
    description: Whether script and engine are there.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Says whether something would change.
"""

EXAMPLES = r"""
- name: Install the script
  evenkeel.celery.stuck_jobs_script:
    script: "{{ lookup('ansible.builtin.file', 'cleanup_stuck_jobs.py') }}"
"""

RETURN = r"""
files:
  description: The files that were written or removed, or would be.
  returned: always
  type: list
  elements: str
  sample: [/usr/local/lib/evenkeel/engine/_stuck_jobs/plan.py]
"""

import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common import files, paths
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.engines import sqlite

SCRIPT = "cleanup_stuck_jobs.py"
ENGINE = "engine"  # the package that holds the engine's packages, as module_utils does here
OLD_ENGINES = ("stuck_jobs",)  # where older versions had it
MODULE_UTILS = sqlite.__name__[: -len("._stuck_jobs.engines.sqlite")]


def wanted(script: str) -> dict[str, files.File]:
    """The files, by their paths in the directory: the script, and of ours all that is imported here.

    A loader has their bytes, also in the archive that Ansible sends to the host.
    """
    found = {
        SCRIPT: files.File(script.rstrip("\n").encode() + b"\n", 0o755),
        f"{ENGINE}/__init__.py": files.File(b""),
    }
    for name, module in sorted(sys.modules.items()):
        if name.startswith((f"{MODULE_UTILS}._common", f"{MODULE_UTILS}._stuck_jobs")):
            path = Path(ENGINE, *name[len(MODULE_UTILS) + 1 :].split("."))
            path = path / "__init__.py" if hasattr(module, "__path__") else path.with_suffix(".py")
            found[str(path)] = files.File(module.__loader__.get_data(module.__file__))
    return found


def present(directory: Path, script: str, check_mode: bool) -> list[str]:
    """Writes what differs, removes what is no longer ours, and returns the paths of both."""
    found = wanted(script)
    changed = [name for name, file in found.items() if files.read(directory / name) != file]
    if not check_mode:
        for name in changed:
            files.write(directory / name, found[name])
    old = [path for path in installed(directory) if str(path.relative_to(directory)) not in found]
    return [str(directory / name) for name in changed] + remove(directory, old, check_mode)


def installed(directory: Path) -> list[Path]:
    """The files that are there of ours."""
    packages = [path for name in (ENGINE, *OLD_ENGINES) for path in sorted((directory / name).rglob("*.py"))]
    return [path for path in (directory / SCRIPT, *packages) if path.exists()]


def remove(directory: Path, old: list[Path], check_mode: bool) -> list[str]:
    """Removes these files, and the packages that are empty without them."""
    if not check_mode:
        for path in old:
            path.unlink()
        for package in sorted({parent for path in old for parent in path.parents}, reverse=True):
            if directory in package.parents and not any(package.iterdir()):
                package.rmdir()
    return [str(path) for path in old]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": paths.PROGRAMS},
            "script": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["script"])],
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    if module.params["state"] == "present":
        changed = present(directory, module.params["script"], module.check_mode)
    else:
        changed = remove(directory, installed(directory), module.check_mode)
    module.exit_json(changed=bool(changed), files=changed)


if __name__ == "__main__":
    main()
