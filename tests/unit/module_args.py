"""patch_module_args, which ansible-core has since 2.19: sets a module's arguments without a controller."""

from __future__ import annotations

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:
    import json
    from contextlib import contextmanager
    from typing import TYPE_CHECKING, Any
    from unittest import mock

    from ansible.module_utils import basic

    if TYPE_CHECKING:
        from collections.abc import Iterator

    @contextmanager
    def patch_module_args(args: dict[str, Any]) -> Iterator[None]:
        with mock.patch.object(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()):
            yield


__all__ = ["patch_module_args"]
