"""Writes the files that are generated from the tables of options and platforms; --check only lists those that differ.

Written by hand are plugins/module_utils/_*/options.py (the options of services), role_variables.py beside this file
(those of roles), rig/vars/images.yml (platforms) and meta/runtime.yml (ansible-core).
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import for_ansible
import for_people
import platforms
from exports import exports
from role_variables import DOCTOR_PLAYBOOK, EXPORT_DOCUMENT, REPORT_VARIABLES, ROLES


def generated() -> dict[Path, str]:
    """The texts of the generated files."""
    texts = {Path("plugins/doc_fragments") / name: text for name, text in for_ansible.fragments().items()}
    blocks = {meta: platforms.in_role() for meta in Path("roles").glob("*/meta/main.yml")}
    blocks[Path("docs/export.md")] = EXPORT_DOCUMENT
    blocks[Path("README.md")] = platforms.in_readme()
    blocks[Path("docs/report.md")] = {"variables": for_people.table(REPORT_VARIABLES)}
    blocks[Path("docs/doctor.md")] = {"variables": for_people.table(DOCTOR_PLAYBOOK), "faults": for_people.faults()}
    for role in ROLES:
        home = Path("roles", role.name)
        texts[home / "meta/argument_specs.yml"] = for_ansible.argument_specs(role)
        texts[home / "defaults/main.yml"] = for_ansible.defaults(role)
        blocks[home / "README.md"] = role.readme
    texts |= exports()
    return {**texts, **{path: for_people.with_blocks(path, each) for path, each in blocks.items()}}


def stale(texts: Iterable[Path]) -> list[Path]:
    """Files of earlier exports."""
    return sorted({path for path in Path("examples").glob("*/export/**/*") if path.is_file()} - set(texts))


def main(check: bool) -> int:
    wanted = generated()
    drifted = {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    for path, text in drifted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if check:
            print(f"{path} differs from what `make generate` writes. Run it and commit the result.", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"wrote {path}")
    for path in (unused := stale(wanted)):
        if check:
            print(f"{path} is not written by `make generate` any more. Run it and commit the result.", file=sys.stderr)
        else:
            path.unlink()
            print(f"removed {path}")
    return int(check and bool(drifted or unused))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
