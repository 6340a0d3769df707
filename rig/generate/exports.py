"""The examples' services as files for other platforms, so that each change to an export shows in review.

As playbooks/export.yml writes them, but without the programs that lie beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from module_utils._celery.options import complete
from module_utils._export import files
from module_utils._export.errors import errors
from module_utils._export.options import TARGETS
from module_utils._export.options import complete as complete_export
from module_utils._export.services import services
from module_utils._export.warnings import warnings

try:
    from ansible.template import trust_as_template

    TRUSTED = {"trusted_as_template": True}
except ImportError:  # ansible-core 2.18 and older trust all texts
    trust_as_template, TRUSTED = str, {}

# Each with its inventory, and with what the inventory sets otherwise only because the demo's servers are containers.
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "imagineer": ("inventory/imagineer/production", {"imagineer_training_memory": "8G"}),
    "peakops": ("inventory/peakops", {}),
    "photo_album": ("inventory/photo_album", {}),
}
ROLES = {"worker": "__celery_worker_instances", "beat": "__celery_beat_instances if __celery_beat_is_here else []"}


def exports() -> dict[Path, str]:
    """The texts of all files."""
    init_plugin_loader([str(Path(".ansible/collections").absolute())])
    texts = {}
    for example, (inventory, variables) in EXAMPLES.items():
        for target in TARGETS:
            instances, options = read(inventory, {**variables, "celery_export_target": target})
            wrong = list(errors(instances, options))
            if wrong:
                raise SystemExit(f"{inventory}: {wrong}")
            exported = services(instances, options)
            programs = {program: "" for service in exported for program in service.programs}
            made = files.wanted(exported, options, programs)
            home = Path("examples", example, "export", target)
            texts |= {home / name: text for name, text in made.items() if not name.endswith(".py")}
            texts[home / "warnings.txt"] = "".join(f"{line}\n" for line in warnings(exported, options))
    return texts


def read(inventory: str, extra: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The instances of all hosts, and the options of the export."""
    loader = DataLoader()
    hosts = InventoryManager(loader, sources=[inventory])
    manager = VariableManager(loader, hosts)
    found: list[tuple[str, dict[str, Any]]] = []
    given: dict[str, Any] = {}
    for host in hosts.get_hosts("celery_workers"):
        variables = {**manager.get_vars(host=host), **extra}
        for kind, expression in ROLES.items():
            role = Path("roles", f"celery_{kind}")
            defaults, own = (
                loader.load_from_file(str(role / part / "main.yml"), **TRUSTED) for part in ("defaults", "vars")
            )
            template = Templar(loader, variables={**defaults, **variables, **own, "role_path": str(role)}).template
            found += [(kind, each) for each in template(trust_as_template(f"{{{{ {expression} }}}}"))]
        prefix = "celery_export_"
        given = {
            name.removeprefix(prefix): template(value) for name, value in variables.items() if name.startswith(prefix)
        }
    instances = [complete(each, kind) for kind in ROLES for found_kind, each in found if kind == found_kind]
    return instances, complete_export(given)
