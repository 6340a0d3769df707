# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project is called: one application, or several, that one inventory deploys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .options import Option
from .texts import printable

# A file of cron's with any other character in its name is ignored, cron(8).
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

PROJECT = (
    Option(
        "project",
        "str",
        (
            "The name of the project that this play deploys, the same in each of its plays, such as V(peakops). A play"
            " changes and removes only what belongs to its own project.",
            "Empty as long as each host has services of one inventory only.",
        ),
        "",
    ),
    Option(
        "take_over",
        "list",
        "Names of services, and of databases that are cleaned up, that this run takes over from another project. For"
        " the command line, not for the inventory.",
        (),
        elements="str",
    ),
)


def project_errors(project: str) -> Iterator[str]:
    """Why a project can't have this name. Without a name, there is nothing wrong."""
    if project and not NAME.fullmatch(project):
        yield (
            f"evenkeel_project '{printable(project)}' is not a project's name. Use up to 64 letters, digits, '-' and"
            " '_', and start it with a letter or digit."
        )


def taking_over(name: str) -> str:
    """How to take something over, at the end of a message."""
    return f"""-e '{{"evenkeel_take_over": ["{printable(name)}"]}}'"""


def paths_by_project(first: str) -> dict[str, Path]:
    """The configurations on this host by their projects, such as NAME.PROJECT.json beside the first, NAME.json.

    first: that of plays without a project's name, which is empty here.
    """
    path = Path(first)
    found = [path, *sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))]
    projects = {each.stem.partition(".")[2]: each for each in found if each.exists()}
    return {project: each for project, each in projects.items() if not any(project_errors(project))}
