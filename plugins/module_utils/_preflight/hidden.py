# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that exist on the host, but that the service's sandbox hides from it."""

from __future__ import annotations

from collections.abc import Iterator

from .._celery.options import Instance

# Directives of systemd.exec(5), what each hides, and with which value it does not.
_HIDING = {
    "PrivateTmp": (("/tmp", "/var/tmp"), "false"),  # noqa: S108
    "ProtectHome": (("/home", "/root", "/run/user"), "read-only"),
}
_SHOWN = ("", "false", "no", "off", "0", "read-only", "none")


def explanation(what: str, path: str, instance: Instance) -> Iterator[str]:
    """A sentence, if the sandbox hides this path. what: how the sentence calls it."""
    for directive, (directories, value) in _HIDING.items():
        if str(instance["sandbox"].get(directive, "")).lower() not in _SHOWN:
            for directory in directories:
                if f"{path}/".startswith(f"{directory}/"):
                    yield (
                        f"{what} is in {directory}, which the sandbox hides from the service. Put it into another"
                        f" directory, or set sandbox: {{{directive}: {value}}}."
                    )
