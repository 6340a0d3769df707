"""ansible-lint, which checks the syntax of an imported playbook once, not again for each playbook that imports it."""

import functools
import sys
from pathlib import Path

from ansible_compat.runtime import Runtime
from ansiblelint.__main__ import main

check = Runtime.has_playbook


@functools.cache
def has_playbook(runtime, playbook):
    # By itself, it takes molecule/beat/../shared/prepare.yml and molecule/swap/../shared/prepare.yml for two playbooks.
    return check(runtime, str(Path(playbook).resolve()))


if __name__ == "__main__":
    Runtime.has_playbook = has_playbook
    sys.exit(main())
