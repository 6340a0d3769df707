"""What config.yaml says (IMAGINEER_CONFIG). It is read again when it has changed."""

import logging
import os
from pathlib import Path

import yaml

PATH = Path(os.environ.get("IMAGINEER_CONFIG", "/etc/imagineer/config.yaml"))
DEFAULT = {
    "data": "/var/lib/imagineer",
    "checkpoint_mb": 64,  # a model in memory; of SDXL it is 6500
    "keep_training_days": 30,
    "keep_scrapes_days": 7,
}
_read = {"changed": None, "values": DEFAULT}


def get(name):
    changed = PATH.stat().st_mtime_ns
    if changed != _read["changed"]:
        _read.update(changed=changed, values={**DEFAULT, **(yaml.safe_load(PATH.read_text()) or {})})
        logging.getLogger(__name__).info("read %s", PATH, extra={"operation": "config_reload"})
    return _read["values"][name]


def datasets():
    return Path(get("data")) / "datasets"
