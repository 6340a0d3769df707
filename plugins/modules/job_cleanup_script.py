#!/usr/bin/python
# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job_cleanup_script
short_description: Install cleanup_stuck_jobs.py with its configuration and its schedule
version_added: "0.2.0"
author:
  - The evenkeel developers (@evenkeel)
description:
  - Installs C(cleanup_stuck_jobs.py), its engine and its configuration, a directory of records for each owner of a
    database, and cron's file. It does so in one call, while built-in modules would need one for each file.
  - What is no longer wanted is removed, such as cron's file or files of older versions. Records are kept.
  - Each project has a configuration and a schedule of its own. The script and its engine are shared, and stay until the
    last project is removed.
  - The package that provides cron is not installed. RV(cron_missing) tells whether it has to be.
extends_documentation_fragment:
  - evenkeel.celery.job_cleanup.cron
  - evenkeel.celery.job_cleanup.script
  - evenkeel.celery.project
options:
  script:
    description: The text of the script. Required with O(state=present).
    type: str
  databases:
    description:
      - The databases, as in M(evenkeel.celery.sqlite_stuck_jobs) and M(evenkeel.celery.postgresql_stuck_jobs).
      - A password is refused here, as every user can read the configuration.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Shows the configuration and cron's file.
"""

EXAMPLES = r"""
- name: Let cron reset stuck jobs every ten minutes
  evenkeel.celery.job_cleanup_script:
    script: "{{ lookup('ansible.builtin.file', 'cleanup_stuck_jobs.py') }}"
    databases:
      - name: jobs
        path: /opt/slideshow/data/jobs.db
        table: jobs
    cron_state: present
"""

RETURN = r"""
files:
  description: The files and directories that were written or removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/evenkeel/job_cleanup.json]
cron_missing:
  description: Whether cron has to run the script, but is not installed.
  returned: success
  type: bool
  sample: false
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.celery.plugins.module_utils._common import locks, programs
from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.options import argument_spec, hidden_characters
from ansible_collections.evenkeel.celery.plugins.module_utils._common.project import PROJECT
from ansible_collections.evenkeel.celery.plugins.module_utils._common.users import service_identity
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import projects
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.apply import apply, look
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.check import (
    cron_user_errors,
    password_errors,
    passwords,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.options import CRON_OPTIONS, SCRIPT_OPTIONS
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.plan import (
    LOCK,
    Cron,
    Files,
    Wanted,
    absent,
    config_path,
    configuration,
    cron_path,
    wanted,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup.schedule import schedule_errors, user_errors
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.api import (
    StuckJobsError,
    engine_of,
    read_database,
)
from ansible_collections.evenkeel.celery.plugins.module_utils._stuck_jobs.option_table import DATABASES

OPTIONS = (*SCRIPT_OPTIONS, *CRON_OPTIONS, *PROJECT)


def read(params: dict, play: projects.Play, there: projects.There) -> Wanted:
    """What has to be on the host according to the options."""
    project = play.project
    if params["state"] == "absent":
        return absent(project, last=not set(there) - {project})
    for error in (*password_errors(params["databases"]), *projects.errors(play, there)):
        raise StuckJobsError(error)
    metrics = params["metrics_file"]
    if metrics and not metrics.startswith("/"):
        raise StuckJobsError(f"metrics_file {metrics!r} is not an absolute path. Start it with '/'.")
    owners = {options["name"]: engine_of(read_database(options)).owner for options in params["databases"]}
    users = {owner.name: owner for owner in owners.values()}
    cron = None
    if params["cron_state"] == "present":
        for error in cron_user_errors(params["cron_user"], users):
            raise StuckJobsError(error)
        name = params["cron_user"] or next(iter(users), "root")
        for error in (*user_errors(name), *schedule_errors(params["cron_schedule"])):
            raise StuckJobsError(error)
        if name not in users:
            users[name] = service_identity(name)
        times = {time: value for time, value in params["cron_schedule"].items() if value is not None}
        cron = Cron(times, name, project)
    names = {database: owner.name for database, owner in owners.items()}
    records = [users[name] for name in sorted(users)]
    own = {
        config_path(project): configuration(params["databases"], metrics, names),
        cron_path(project): File(str(cron).encode()) if cron else None,
    }
    return wanted({**others(play, there), **own}, params["script"], records)


def others(play: projects.Play, there: projects.There) -> Files:
    """The files of other projects from which databases are taken over."""
    files: Files = {}
    for project, after in projects.others_after(play, there).items():
        if not after.databases and there[project].databases:
            files.update({config_path(project): None, cron_path(project): None})
        elif after != there[project]:
            files[config_path(project)] = configuration(after.databases, after.metrics_file, after.owners)
    return files


def diff(project: str, before: dict, after: Wanted) -> list[dict]:
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": text(before[path]),
            "after": text(after.files[path]),
        }
        for path in (config_path(project), cron_path(project))
    ]


def text(file: File | None) -> str:
    return file.content.decode(errors="replace") if file else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "script": {"type": "str"},
            "databases": {"type": "list", "elements": "dict", "default": []},
            **argument_spec(OPTIONS),
        },
        required_if=[("state", "present", ["script"])],
        supports_check_mode=True,
        no_log=True,  # login_password is refused below: until then it must not get into the journal
    )
    module.no_log_values |= passwords(module.params["databases"])
    hidden = list(hidden_characters((*OPTIONS, DATABASES), module.params))
    if hidden:
        module.fail_json(msg="\n".join(hidden))
    play = projects.play(module.params)
    try:
        with contextlib.nullcontext() if module.check_mode else locks.hold(LOCK):
            there = projects.there()
            left = list(projects.left_alone(play, there))
            if left and (not play.wanted.databases or module.params["state"] == "absent"):
                module.warn(left[0])
                module.exit_json(changed=False, files=[], cron_missing=False)
            after = read(module.params, play, there)
            before = look(after)
            changed = apply(before, after, module.check_mode)
    except (StuckJobsError, locks.Busy, OSError) as error:
        module.fail_json(msg=str(error))
    # Every cron package of Debian provides crontab(1).
    cron_missing = bool(after.files[cron_path(play.project)]) and not programs.find("crontab")
    differences = diff(play.project, before, after)
    module.exit_json(changed=bool(changed), files=changed, cron_missing=cron_missing, diff=differences)


if __name__ == "__main__":
    main()
