# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How root becomes another user: for good in a child process, or by the effective user where it must change back."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """A user with the groups that a process of that user has."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return user_name(self.uid)

    @property
    def home(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_dir
        except KeyError:
            return "/"


def service_identity(user: str, group: str = "") -> Identity:
    """As whom systemd runs a service with this User= and Group=. Raises KeyError if there is no such user or group."""
    entry = pwd.getpwnam(user)
    gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    return Identity(entry.pw_uid, gid, tuple(os.getgrouplist(user, gid)))


def user_name(uid: int) -> str:
    """The user's name; the UID of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def child_of(identity: Identity) -> dict[str, Any]:
    """Arguments for subprocess with which a child of root's becomes this user for good, before it executes anything.

    It runs in a session of its own, so that it can't type into root's terminal. If we are not root, it stays our user.
    """
    session: dict[str, Any] = {"start_new_session": True}
    if os.geteuid() != 0:
        return session
    return {**session, "user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}


@contextlib.contextmanager
def acting_as(identity: Identity) -> Iterator[None]:
    """Root acts as this user, then is root again. No code of that user may run meanwhile: it could become root too."""
    if os.geteuid() == identity.uid:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups(identity.groups)
    os.setegid(identity.gid)
    os.seteuid(identity.uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)
