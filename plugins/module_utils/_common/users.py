# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and their groups, and how root becomes another user: in a child process, and for good."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

NO_GROUP = 65534  # nogroup, as systemd and the kernel have it


_NO_SHELL = ("", "nologin", "false", "true")


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

    @property
    def shell(self) -> str:
        """Empty for a user who can't log in."""
        try:
            shell = pwd.getpwuid(self.uid).pw_shell
        except KeyError:
            return ""
        return "" if shell.rpartition("/")[2] in _NO_SHELL else shell


def service_identity(user: str, group: str = "") -> Identity:
    """As whom systemd runs a service with this User= and Group=. Raises KeyError if there is no such user or group."""
    entry = pwd.getpwnam(user)
    gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    return Identity(entry.pw_uid, gid, tuple(os.getgrouplist(user, gid)))


def owner_identity(uid: int, group: int) -> Identity:
    """As whom to work on a file of this user and group.

    Its group is the file's, for the files that are made beside it, but only if the user database says that the user is
    a member: whoever has written to a file of a group need not be. A UID without a name is in no group at all.
    """
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid, NO_GROUP)
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Identity(uid, group if group in groups else entry.pw_gid, groups)


def members(gid: int) -> set[int]:
    """The UIDs of the users who are in this group, as far as the user database lists them."""
    try:
        named = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        named = set()
    return {entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid or entry.pw_name in named}


def user_name(uid: int) -> str:
    """The user's name; the UID of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def primary_group(user: str) -> str:
    """The name of a user's primary group; the user's own name if there is no such user."""
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        return user


def become(identity: Identity) -> None:
    """Root becomes this user for good: this process and all that it starts. Any other user stays who it is."""
    if os.geteuid() == 0:
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
