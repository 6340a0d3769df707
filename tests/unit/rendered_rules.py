"""The alert rules as the role writes them, rendered without Ansible."""

import json

import jinja2
import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring.options import MONITORING
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup.fleet import fleet
from project import PROJECT

TEMPLATES = PROJECT / "roles/monitoring/templates/rules"
GROUPS = [path.name.removesuffix(".yml.j2") for path in sorted(TEMPLATES.iterdir())]
NOTHING = {
    **{f"monitoring_{option.name}": option.default for option in MONITORING},
    "celery_worker_state": "present",
    "celery_worker_defaults": {},
    "celery_worker_instances": [],
    "job_cleanup_cron_state": "absent",
    "job_cleanup_cron_schedule": {},
}
_JINJA = jinja2.Environment(  # noqa: S701 - not HTML
    loader=jinja2.FileSystemLoader(TEMPLATES),
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
    variable_start_string="<<",
    variable_end_string=">>",
)
_JINJA.filters |= {"to_json": json.dumps, "combine": lambda one, other: {**one, **other}}


def host(**variables):
    """The variables of a host; those of the role without their prefix."""
    return {**NOTHING, **{name if name in NOTHING else f"monitoring_{name}": variables[name] for name in variables}}


def render(hosts, project=""):
    """The text of each file of rules."""
    found = fleet(hosts, project)
    return {group: _JINJA.get_template(f"{group}.yml.j2").render(fleet=found) for group in GROUPS}


def parsed(hosts, project=""):
    """All rules, in the order of the files."""
    files = [yaml.safe_load(text) for text in render(hosts, project).values()]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]
