# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a swap file: each is written here, and nowhere else by hand."""

from __future__ import annotations

from .._common.options import Option

SWAP = (
    Option(
        "state",
        "str",
        "V(present) has the swap file in use, now and at boot. V(absent) removes it, and its line in C(/etc/fstab).",
        "present",
        choices=("present", "absent"),
    ),
    Option(
        "path",
        "path",
        (
            "The swap file, on ext4, xfs, btrfs, ext3 or ext2. Its directory must exist.",
            "While a file is made or replaced, its name with C(.evenkeel-new) at the end is used as well.",
        ),
        "/swapfile",
    ),
    Option("size", "size", "Its size, in powers of 1024. It may be changed at any time.", "2G"),
    Option(
        "swappiness",
        "int",
        (
            "How readily the kernel swaps, from 0 to 200, now and at boot: a low value lets it swap only when memory is"
            " short. If it is not set, it is left as it is.",
            "With O(state=absent) it is no longer set at boot. The running kernel keeps its swappiness until then.",
        ),
    ),
    Option("reserve", "size", "The disk space that has to stay free beside a new file, at each moment.", "1G"),
    Option(
        "unsupported",
        "str",
        "What to do where the file system carries no swap files, such as overlayfs, tmpfs, NFS or ZFS. V(skip) leaves"
        " the host as it is.",
        "fail",
        choices=("fail", "skip"),
    ),
)
