# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampler on a host: its program, and the service and the timer that run it as a user of its own."""

from __future__ import annotations

from .._common.files import File
from .._common.package import engine
from .._common.paths import MARKER, PROGRAMS, UNITS
from .._monitoring import api, sample

USER = "evenkeel-monitoring"
DIRECTORY = f"{PROGRAMS}/_sampler"  # with an engine of its own; no service's name begins with '_'
PROGRAM = f"{DIRECTORY}/evenkeel_sample.py"
UNIT = sample.UNIT
RECORDS = api.DIRECTORY
METRICS = f"{RECORDS}/{sample.TEXTFILE}"
# node_exporter follows the link, so that the sampler need not write to a directory of the exporter's.
TEXTFILE = "/var/lib/prometheus/node-exporter/evenkeel.prom"

SERVICE = f"""{MARKER}
[Unit]
Description=Measure the Celery services

[Service]
Type=oneshot
ExecStart={PROGRAM}
User={USER}
SupplementaryGroups=systemd-journal
StateDirectory={RECORDS.removeprefix("/var/lib/")}
StateDirectoryMode=0755
UMask=0077
# /tmp is the host's, as flag files of campaigns may lie there, and can't be written to.
Environment=TMPDIR={RECORDS}
TimeoutStartSec=50s
Nice=10
MemoryMax=256M
TasksMax=16
# systemd would write several lines a minute about it; the sampler's own are notices and worse.
LogLevelMax=notice
SyslogLevel=notice

CapabilityBoundingSet=
DevicePolicy=closed
IPAddressDeny=any
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""

TIMER = f"""{MARKER}
[Unit]
Description=Measure the Celery services each minute

[Timer]
OnCalendar=minutely
AccuracySec=1s
RandomizedDelaySec=30s
FixedRandomDelay=yes

[Install]
WantedBy=timers.target
"""

UNITS_OF_IT = {f"{UNITS}/{UNIT}.service": File(SERVICE.encode()), f"{UNITS}/{UNIT}.timer": File(TIMER.encode())}


def program(text: str) -> dict[str, File]:
    """The files of the program and its engine."""
    return {PROGRAM: File(text.rstrip("\n").encode() + b"\n", 0o755), **engine(f"{DIRECTORY}/_engine", _PACKAGES)}


_PACKAGES = ("_common", "_monitoring")
