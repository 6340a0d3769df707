"""What the diff shows of a service's files."""

from ansible_collections.evenkeel.celery.plugins.module_utils._common.files import File
from ansible_collections.evenkeel.celery.plugins.module_utils._common.paths import MARKER
from ansible_collections.evenkeel.celery.plugins.module_utils._deploy.report import show_file

UNIT = "/etc/systemd/system/w.service"


def test_an_original_unit_is_shown_without_its_secrets_and_control_characters():
    text = "[Service]\nEnvironment=A=geheim\nExecStart=/x redis://:geheim@h\x1b]0;owned\n"
    shown = show_file(UNIT, File(text.encode()))
    assert shown == (
        f"--- {UNIT} (mode 0644)\n[Service]\nEnvironment=A=********\nExecStart=/x redis://:********@h\\x1b]0;owned\n"
    )


def test_our_own_unit_is_shown_as_it_is():
    text = f"{MARKER}\n[Service]\nEnvironment=PYTHONUNBUFFERED=1\n"
    assert show_file(UNIT, File(text.encode())).endswith(text)


def test_only_the_names_of_an_environment_file_are_shown():
    shown = show_file("/etc/evenkeel/w.env", File(b'A="geheim"\nB="x"\n', 0o600))
    assert shown == "--- /etc/evenkeel/w.env (mode 0600, values not shown): A, B\n"
