# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporters of Prometheus from Debian's packages: how they are set up before they first start.

A drop-in does it, which leaves the package's own files, and what an administrator wrote into them, as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._common import files, programs, systemd
from .._common.environment_files import variables
from .._common.files import File
from .._common.paths import CONFIGURATION, MARKER, UNITS
from .._common.texts import printable

# The package, if we have installed it, goes with the last project. The line is the only record of that, so the drop-in
# goes after the package.
OURS = "# The package was installed for it, and is removed with it."
REDIS_ENVIRONMENT = f"{CONFIGURATION}/_redis_exporter.env"  # no service's name begins with '_'
_MOST = 2**16  # bytes


@dataclass(frozen=True)
class Exporter:
    """One of Debian's packages, and its systemd unit of the same name."""

    package: str
    port: int
    service: str  # the settings of the drop-in
    flags: tuple[str, ...]  # that are ours alone to set

    @property
    def unit(self) -> str:
        return f"{self.package}.service"

    @property
    def drop_in(self) -> str:
        return f"{UNITS}/{self.unit}.d/evenkeel.conf"

    @property
    def arguments_file(self) -> str:
        """Where an administrator of Debian sets its command line."""
        return f"/etc/default/{self.package}"

    @property
    def installed(self) -> bool:
        return programs.find(self.package) is not None

    def file(self, address: str, before: File | None) -> File:
        """The drop-in. before: the one that is there."""
        ours = came_with_us(before) if before else not self.installed
        owner = f"{OURS}\n" if ours else ""
        return File(f"{MARKER}\n{owner}[Service]\n{self.service.format(address=address, port=self.port)}".encode())

    def errors(self) -> Iterator[str]:
        """Flags of the administrator's that contradict ours."""
        try:
            text = files.read_start(self.arguments_file, _MOST).decode(errors="replace")
        except OSError:
            return
        words = set(re.findall(r"(?:^|\s)--?([\w.-]+)", variables(text).get("ARGS", "")))
        for flag in sorted(words & set(self.flags)):
            yield (
                f"{self.arguments_file} sets --{printable(flag)}, which the role has to set. Remove it there, or leave"
                f" out this exporter in monitoring_exporters."
            )

    def needed_otherwise(self) -> str:
        """Why the package, although we have installed it, must not be removed; empty if it may be. It is installed."""
        packaged = systemd.run("dpkg-query", "--show", "--showformat=${Conffiles}", self.package)
        for path, digest in re.findall("^ (/.+?) ([0-9a-f]{32})", packaged, re.MULTILINE):
            file = files.read(path)
            if file and hashlib.md5(file.content, usedforsecurity=False).hexdigest() != digest:  # as dpkg has it
                return f"{path} was changed"
        try:
            systemd.run("dpkg", "--simulate", "--remove", self.package)
        except systemd.SystemdError:
            return "other packages depend on it"
        return ""


def came_with_us(drop_in: File | None) -> bool:
    """Whether we have installed the package of this drop-in."""
    return bool(drop_in) and OURS.encode() in drop_in.content


EXPORTERS: Mapping[str, Exporter] = {
    "node": Exporter(
        "prometheus-node-exporter",
        9100,
        "ExecStart=\nExecStart=/usr/bin/prometheus-node-exporter $ARGS --web.listen-address={address}:{port}\n",
        ("web.listen-address", "web.systemd-socket", "collector.textfile.directory", "no-collector.textfile"),
    ),
    "redis": Exporter(
        "prometheus-redis-exporter",
        9121,
        f"EnvironmentFile={REDIS_ENVIRONMENT}\n",  # with the password, so that it is in no list of processes
        ("web.listen-address", "redis.addr", "redis.password", "redis.password-file", "redis.user", "script"),
    ),
}
