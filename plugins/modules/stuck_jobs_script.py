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
  sample: [/usr/local/lib/evenkeel/stuck_jobs/plan.py]
"""

import inspect
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils import stuck_jobs

SCRIPT = "cleanup_stuck_jobs.py"
ENGINE = "stuck_jobs"


def wanted(script: str) -> dict[str, tuple[str, int]]:
    """The text and the mode of each file, by its path in the directory."""
    files = {SCRIPT: (script.rstrip("\n") + "\n", 0o755)}
    for name, module in sorted(sys.modules.items()):
        if name == stuck_jobs.__name__ or name.startswith(stuck_jobs.__name__ + "."):
            file = name[len(stuck_jobs.__name__) + 1 :] or "__init__"
            files[f"{ENGINE}/{file}.py"] = (inspect.getsource(module), 0o644)
    return files


def present(directory: Path, script: str, check_mode: bool) -> list[str]:
    """Writes what differs, and gives it back."""
    files = wanted(script)
    changed = []
    for name, (text, mode) in files.items():
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == text and path.stat().st_mode & 0o7777 == mode:
            continue
        changed.append(str(path))
        if not check_mode:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}")
            beside.write_text(text, encoding="utf-8")
            beside.chmod(mode)
            beside.replace(path)
    old = [path for path in (directory / ENGINE).glob("*.py") if f"{ENGINE}/{path.name}" not in files]
    return changed + remove(old, check_mode)


def absent(directory: Path, check_mode: bool) -> list[str]:
    """Removes what is ours, and gives it back."""
    engine = directory / ENGINE
    found = remove([path for path in (directory / SCRIPT, *sorted(engine.glob("*.py"))) if path.exists()], check_mode)
    if engine.is_dir() and not check_mode and not any(engine.iterdir()):
        engine.rmdir()
    return found


def remove(paths: list[Path], check_mode: bool) -> list[str]:
    if not check_mode:
        for path in paths:
            path.unlink()
    return [str(path) for path in paths]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/usr/local/lib/evenkeel"},
            "script": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["script"])],
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    if module.params["state"] == "present":
        files = present(directory, module.params["script"], module.check_mode)
    else:
        files = absent(directory, module.check_mode)
    module.exit_json(changed=bool(files), files=files)


if __name__ == "__main__":
    main()
