"""Paths and platforms in the READMEs and in the rig are those in the code."""

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.evenkeel.celery.plugins.module_utils._celery import log_file
from ansible_collections.evenkeel.celery.plugins.module_utils._celery.command import state_directory
from ansible_collections.evenkeel.celery.plugins.module_utils._common import paths
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy import store
from ansible_collections.evenkeel.celery.plugins.module_utils._job_cleanup import plan as job_cleanup
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring import config as monitoring
from ansible_collections.evenkeel.celery.plugins.module_utils._monitoring_setup import exporters, sampler
from ansible_collections.evenkeel.celery.plugins.module_utils._preflight import effects
from ansible_collections.evenkeel.celery.plugins.module_utils._swap import options, settings
from ansible_collections.evenkeel.celery.plugins.module_utils._targets.stale_workers import PREFIXES, PROGRAM
from project import PROJECT

# Every path on a managed host, for a service NAME and a user USER.
ON_THE_HOST = {
    paths.PROGRAMS,
    paths.unit_path("NAME"),
    paths.environment_path("NAME"),
    paths.logrotate_path("NAME"),
    f"/var/log/{log_file.logs_directory({'name': 'NAME', 'log_file': True})}",
    paths.program_directory("NAME"),
    f"{paths.program_directory('NAME')}/{PROGRAM}",
    *(paths.unit_path(f"{prefix}NAME") for prefix in PREFIXES.values()),
    f"/var/lib/{state_directory({'name': 'NAME'})}",
    str(store.directory("NAME")),
    job_cleanup.SCRIPT,
    job_cleanup.ENGINE,
    *(path(project) for path in (job_cleanup.config_path, job_cleanup.cron_path) for project in ("", "PROJECT")),
    job_cleanup.RECORDS,
    f"{job_cleanup.RECORDS}/USER",
    monitoring.CONFIG,
    *sampler.UNITS_OF_IT,
    *(exporter.drop_in for exporter in exporters.EXPORTERS.values()),
    exporters.REDIS_ENVIRONMENT,
    sampler.DIRECTORY,
    sampler.RECORDS,
    sampler.TEXTFILE,
    settings.FSTAB,
    settings.SYSCTL,
    *(option.default for option in options.SWAP if option.name == "path"),
}


@pytest.mark.parametrize("readme", ["README.md", *(f"roles/{r.name}/README.md" for r in (PROJECT / "roles").iterdir())])
def test_each_path_in_a_readmes_table_is_used_by_the_code(readme):
    documented = re.findall(r"^\| `(/[^`]+?)/?` \|", (PROJECT / readme).read_text(), re.MULTILINE)
    assert documented
    assert set(documented) <= ON_THE_HOST


def test_the_page_about_the_sandbox_lists_each_directive_whose_effect_is_checked():
    text = (PROJECT / "docs/sandbox.md").read_text()
    listed = set(re.findall(r"`(\w+)`", text.partition("## Where it has no effect")[2].partition("No other")[0]))
    assert listed >= effects.CHECKED


def test_every_scenario_runs_on_every_platform():
    releases = load("rig/vars/images.yml")["rig_releases"]
    hosts = load(".config/molecule/config.yml")["platforms"]
    assert [host["image"] for host in hosts] == [f"evenkeel/server:{release['tag']}" for release in releases]


def load(path):
    return yaml.safe_load(Path(PROJECT, path).read_text())
