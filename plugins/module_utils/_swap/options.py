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
            "While it is made or replaced, a second file is beside it, with C(.evenkeel-new) appended to the name.",
        ),
        "/swapfile",
    ),
    Option("size", "size", "Its size, in powers of 1024. It may be changed at any time.", "2G"),
    Option(
        "swappiness",
        "int",
        (
            "C(vm.swappiness), from 0 to 200, now and at boot: with a low value, the kernel swaps only when memory is"
            " scarce. If it is not set, it is left as it is.",
            "With O(state=absent) it is no longer set at boot. The running kernel keeps its swappiness until then.",
        ),
    ),
    Option("reserve", "size", "The disk space that has to stay free at any time while a new file is made.", "1G"),
    Option(
        "unsupported",
        "str",
        "What to do if the file system does not support swap files, such as overlayfs, tmpfs, NFS or ZFS, or the kernel"
        " refuses them, such as in a container. V(skip) leaves the host as it is.",
        "fail",
        choices=("fail", "skip"),
    ),
)
