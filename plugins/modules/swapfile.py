#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swapfile
short_description: Manage a swap file, in use now and at boot
version_added: "0.1.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Keeps a swap file of a given size, owned by root, mode 0600, and in use, now and at boot.
  - A new file is made beside the old one and proven by C(swapon) before the old one is removed. It is in use while the
    old one is emptied, then takes its name. So the disk has to hold both for a while.
  - First checks whether the file system supports swap files, whether there is enough disk space, and whether there is
    enough memory for what is swapped out. Check mode does so too.
  - Only a swap file is ever replaced or removed. Anything else at O(path) is an error.
  - The next run completes or cleans up an interrupted one.
  - A file that others can open, or that is not root's, is replaced, as somebody may still hold it open.
  - The directory, and all above it, have to be such that only root can write to them.
  - An existing line in C(/etc/fstab) keeps its options, such as C(nofail) or C(pri=10), except C(noauto).
extends_documentation_fragment:
  - evenkeel.celery.swapfile
attributes:
  check_mode:
    support: full
    description: Fails as the real run would.
  diff_mode:
    support: full
    description: Shows the file, its line in C(/etc/fstab) and the swappiness, before and after.
"""

EXAMPLES = r"""
- name: Have 2 GiB of swap, for when memory is scarce
  evenkeel.celery.swapfile:
    path: /swapfile
    swappiness: 10

- name: Have 4 GiB of swap
  evenkeel.celery.swapfile:
    path: /swapfile
    size: 4G

- name: Remove the swap file
  evenkeel.celery.swapfile:
    path: /swapfile
    state: absent
"""

RETURN = r"""
steps:
  description: What was done, or would be done, in order.
  type: list
  elements: str
  returned: success
  sample: [make /swapfile.evenkeel-new, swapon /swapfile.evenkeel-new]
"""

import contextlib
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec, hidden_characters
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import STATE
from ansible_collections.evenkeel.celery.plugins.module_utils._common.quantities import format_size, parse_size
from ansible_collections.evenkeel.celery.plugins.module_utils._common.texts import printable
from ansible_collections.evenkeel.celery.plugins.module_utils._swap import settings
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.apply import PAGE, Runner, apply, look
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.options import SWAP
from ansible_collections.evenkeel.celery.plugins.module_utils._swap.plan import (
    MIB,
    File,
    Host,
    SwapError,
    UnsupportedError,
    check,
    plan,
)

LOCK = f"{STATE}/swap.lock"


def read_size(params: dict, name: str, least: int = 0) -> int:
    try:
        size = parse_size(params[name])
    except ValueError as error:
        raise SwapError(f"{name}: {error}.") from None
    if size < least:
        raise SwapError(f"{name}: {params[name]} is too small. Set at least {format_size(least)}.")
    return size // PAGE * PAGE


def read_path(path: str) -> str:
    # In fstab, white space and backslashes would have to be escaped.
    if not Path(path).is_absolute() or len(path.split()) != 1 or "\\" in path or not Path(path).name:
        raise SwapError(
            f"path: {path!r} can't be a swap file. Set an absolute path without white space and backslashes."
        )
    return "/" + os.path.normpath(path).lstrip("/")


def read_swappiness(swappiness: int | None) -> int | None:
    if swappiness is not None and not 0 <= swappiness <= 200:
        raise SwapError(f"swappiness: {swappiness} is out of range. Set a number from 0 to 200.")
    return swappiness


def runner(module: AnsibleModule):
    def run(tool: str, *arguments: str) -> None:
        code, _output, errors = module.run_command(
            [programs.find(tool) or tool, *arguments],
            environ_update=programs.ENVIRONMENT,
            use_unsafe_shell=False,
            handle_exceptions=False,
        )
        if code:
            raise SwapError(printable(errors.strip()) or f"{tool} ended with exit code {code}.")

    return run


def ensure(module: AnsibleModule) -> dict:
    path = read_path(module.params["path"])
    present = module.params["state"] == "present"
    size = read_size(module.params, "size", MIB) if present else None
    swappiness = read_swappiness(module.params["swappiness"])
    before, settings_before = look(path), settings.look()
    steps = plan(before, size)
    check(before, steps, size, read_size(module.params, "reserve"))
    names = (path, before.file.path)  # as given, and without links
    settings_after = settings.plan(settings_before, names, present, swappiness)
    if not module.check_mode:
        run = runner(module)
        # At any time, fstab has a line only for a file that exists.
        if present:
            apply(Runner(path, size, run, module.log), before, steps)
        settings.apply(settings_before, settings_after, run)
        if not present:
            apply(Runner(path, size, run, module.log), before, steps)
    wanted = File(before.file.path, "swap file", size, active=True) if present else File(before.file.path)
    was, will_be = settings.shown(settings_before, names), settings.shown(settings_after, names)
    changes = [f"change {name}" for name in was if was[name] != will_be[name]]
    return {
        "changed": bool(steps or changes),
        "steps": [str(step) for step in steps] + changes,
        "diff": [
            {"before": before.as_data(), "after": Host(wanted, File("")).as_data()},
            *(
                {"before_header": name, "after_header": name, "before": was[name], "after": will_be[name]}
                for name in was
            ),
        ],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(SWAP),
        supports_check_mode=True,
    )
    hidden = list(hidden_characters(SWAP, module.params))
    if hidden:
        module.fail_json(msg="\n".join(hidden))
    try:
        with contextlib.nullcontext() if module.check_mode else locks.hold(LOCK):
            result = ensure(module)
    except UnsupportedError as error:
        if module.params["unsupported"] == "skip":
            module.exit_json(changed=False, skipped=True, skip_reason=str(error))
        module.fail_json(msg=str(error))
    except (SwapError, locks.Busy, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
