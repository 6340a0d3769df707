"""patch_module_args: sets a module's arguments without a controller."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from ansible.module_utils import basic

try:  # since ansible-core 2.19
    from ansible.module_utils import _internal
    from ansible.module_utils.testing import patch_module_args as patch_arguments
except ImportError:
    _internal = None

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def patch_module_args(args: dict[str, Any]) -> Iterator[None]:
    if _internal is None:
        with mock.patch.object(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()):
            yield
        return
    # Once another test has loaded a part of the controller, a module's warnings would be shown, and not returned.
    with patch_arguments(args), mock.patch.object(_internal, "is_controller", False):
        yield
