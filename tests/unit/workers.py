"""A worker as the role hands it to the modules: the role's own defaults, with what a test says differently."""

from pathlib import Path

import yaml

DEFAULTS = Path(__file__).parents[2] / "roles" / "celery_worker" / "defaults" / "main.yml"
BARE = yaml.safe_load(DEFAULTS.read_text())["__celery_worker_defaults"]


def worker(**said):
    return {**BARE, "name": "w", "app": "shop", "directory": "/srv/shop", **said}
