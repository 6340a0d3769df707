"""A compromised application against the preflight, which root runs, and against the terminal of whoever started it.

All attacks are made by one check run: each worker is named after its attack and loads an application of that name.
"""

import base64
import json
import re
import shlex
import urllib.parse

import pytest

CONVERGE = "molecule/attacks/worker.yml"
SECRET = 'ge"heim\\wört/4711'
# How an application may write it; the texts are computed here, and on the host from the environment.
FORMS = {
    "plain": "s",
    "repr": "repr(s)[1:-1]",
    "JSON": "json.dumps(s)[1:-1]",
    "URL": "urllib.parse.quote(s, safe='')",
    "base64": "base64.b64encode(s.encode()).decode()",
    "the beginning": "s[:12]",
}
LEAK = "import base64, json, os, urllib.parse\ns = os.environ['DB_PASSWORD']\n"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[32mok: [server]"
# Programs that root runs by their names somewhere, each of which would tell as whom it ran.
SPY = """#!/bin/sh
id -u >> /srv/shop/data/ran-as
exec /usr/bin/$(basename "$0") "$@"
"""
PROGRAMS = ("setpriv", "systemctl", "systemd-run", "systemd-analyze", "journalctl", "python3", "id")
APPLICATIONS = {
    "noisy": "import os\nwhile True: os.write(1, b'x' * 65536)",
    "endless": "while True: pass",
    "daemon": (
        "import os\nif not os.fork():\n    os.setsid()\n    os.execv('/bin/sleep', ['sleep', '4711'])\nimport nowhere"
    ),
    "forger": 'print(\'\\nevenkeel-probe:{"closed": {"/etc/shadow": ["/etc/shadow", 0, 0, 0]}}\', flush=True)\n1/0',
    "nested": "print('\\nevenkeel-probe:' + '[' * 60000, flush=True)\n1/0",
    "escapes": f"raise ValueError({ESCAPES!r})",
    "leak": f"{LEAK}raise ValueError(' | '.join([{', '.join(FORMS.values())}]))",
    "observer": """
import json, os
def attempt(what, *arguments):
    try:
        return str(what(*arguments))
    except OSError as error:
        return error.strerror
raise ValueError(json.dumps({
    "terminal": attempt(os.open, "/dev/tty", os.O_RDWR), "parent": os.getppid(), "session": os.getsid(0) == os.getpid(),
    "files": [attempt(os.readlink, f"/proc/self/fd/{n}")[:5] for n in range(12)],
    "root": attempt(os.setuid, 0), "kill": attempt(os.kill, 1, 0),
}).translate({34: 39}))
""",
    "environment": "import os\nraise ValueError(' '.join(sorted(os.environ)))",
}
# Read by whatever runs in the application's environment; those of the linker and of Python would leave files.
LOADED = {
    "PATH": "/srv/shop/bin:/usr/local/bin:/usr/bin:/bin",
    "LD_DEBUG": "files",
    "LD_DEBUG_OUTPUT": "/srv/shop/data/loaded",
    "PYTHONPATH": "/srv/shop/python",
    "PYTHONUSERBASE": "/srv/shop/python",
}
WORKERS = {
    **{name: {"app": name} for name in APPLICATIONS},
    "endless": {"app": "endless", "start_timeout": "3s"},
    "leak": {"app": "leak", "environment": {"DB_PASSWORD": SECRET, "SITE": "/srv/shop", "MODULE": "shop.settings"}},
    "path": {"environment": LOADED},
    "fifo": {"executable": "/srv/shop/bin/fifo"},
    "module": {"app": "module", "environment": {"DJANGO_SETTINGS_MODULE": "bakery.settings.prod"}},
}


def check(ansible_output, workers, *options):
    wish = {"workers": [{"name": name, "queues": [name], **worker} for name, worker in workers.items()]}
    return ansible_output(CONVERGE, "--check", *options, "--extra-vars", json.dumps(wish))


def write(host, path, text, mode="644"):
    host.check_output("printf %%s %s > %s && chmod %s %s && chown shop: %s", text, path, mode, path, path)


@pytest.fixture(scope="module")
def output(host, ansible_output):
    """The output of one check run with all attacks; its words are separated by single spaces."""
    for name, text in APPLICATIONS.items():
        write(host, f"/srv/shop/{name}.py", text)
    write(
        host,
        "/srv/shop/module.py",
        "import importlib, os\nimportlib.import_module(os.environ['DJANGO_SETTINGS_MODULE'])",
    )
    for program in PROGRAMS:
        write(host, f"/srv/shop/bin/{program}", SPY, "755")
    host.check_output("mkdir -p /srv/shop/python && chown shop: /srv/shop/python")
    for module in ("sitecustomize", "usercustomize"):
        write(host, f"/srv/shop/python/{module}.py", "import os\nopen(f'/srv/shop/data/{os.getuid()}', 'a').close()")
    host.check_output(
        "rm -f /srv/shop/bin/fifo && mkfifo --mode=755 /srv/shop/bin/fifo && chown shop: /srv/shop/bin/fifo"
    )
    output = check(ansible_output, WORKERS)
    assert "Correct this first" in output, output
    return output


def said(output, name):
    """What the preflight said of a worker, in a line."""
    start = output.index(f"- {name}: ") + len(f"- {name}: ")
    return " ".join(output[start:].split("\n")[0].split())


def test_root_runs_nothing_of_the_application(host, output):
    """Programs of the application's in its PATH, a linker that writes files, Python that imports its modules."""
    assert "path:" not in output, "the application itself can be loaded"
    assert set(host.run("cat /srv/shop/data/ran-as").stdout.split()) <= {host.check_output("id -u shop")}
    assert host.check_output("find /srv/shop/data -name 'loaded.*' -user shop | head -1"), "nothing was loaded at all"
    assert host.check_output("find /srv/shop -user root -newer /srv/shop/noisy.py") == ""
    assert not host.file("/srv/shop/data/0").exists


def test_nothing_of_root_is_in_reach(host, output):
    seen = said(output, "observer")
    assert "'terminal': 'No such device or address'" in seen
    assert "'parent': 1, 'session': true" in seen
    assert "'files': ['/dev/', 'pipe:', 'pipe:'" in seen
    assert "'root': 'Operation not permitted', 'kill': 'Operation not permitted'" in seen


def test_the_environment_is_that_of_a_service(host, output):
    names = set(said(output, "environment").partition("ValueError: ")[2].partition(". Check")[0].split())
    assert {"BROKER", "PATH", "PYTHONPATH", "INVOCATION_ID"} <= names
    assert not {name for name in names if name.startswith(("ANSIBLE", "SSH", "SUDO", "CONTAINER"))}
    assert "NOTIFY_SOCKET" not in names


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("noisy", "app 'noisy' writes more than 1M when it is imported."),
        ("endless", "app 'endless' was not imported and checked within start_timeout 3s."),
        ("fifo", "executable '/srv/shop/bin/fifo' can't be run by user shop: Permission denied."),
        ("forger", "app 'forger': something writes lines that begin with 'evenkeel-probe:' and are no answers"),
        ("nested", "app 'nested': something writes lines that begin with 'evenkeel-probe:' and are no answers"),
        (
            "daemon",
            "app 'daemon' can't be loaded in /srv/shop as user shop: ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            "module",
            "app 'module' can't be loaded in /srv/shop as user shop: ModuleNotFoundError: No module named 'bakery'",
        ),
    ],
)
def test_each_attack_ends_in_a_sentence(host, output, name, sentence):
    assert said(output, name).startswith(sentence)


def test_nothing_of_the_probe_remains(host, output):
    assert host.run("pgrep -f '[s]leep 4711'").stdout == ""
    assert host.check_output("find /run -maxdepth 1 -name 'evenkeel-probe-*'") == ""
    assert host.check_output("systemctl list-units --all --plain --no-legend 'evenkeel-probe-*'") == ""


def test_no_secret_is_shown_in_any_form(host, output):
    modules = {"base64": base64, "json": json, "urllib": urllib}
    texts = {name: eval(form, {"s": SECRET, **modules}) for name, form in FORMS.items()}  # noqa: S307
    journal = host.check_output("journalctl --no-pager --output=cat")
    for shown in (output, journal):
        assert not [name for name, text in texts.items() if text in shown]
        assert SECRET[-7:] not in shown, "in another form"
    assert "Invoked with instances=" in journal, "what Ansible logs of its modules"
    leak = said(output, "leak")
    assert leak.startswith("app 'leak' can't be loaded in /srv/shop as user shop: ValueError: ")
    assert leak.count("********") == len(FORMS)


def test_no_control_characters_reach_the_terminal(host, output):
    assert "\x1b" not in output
    assert r"\x1b]0;owned\x07" in said(output, "escapes")


def test_advice_does_not_lead_through_links_or_control_characters(host, ansible_output):
    """A file of root's in a directory that the application's user can replace by a link; its name has an escape."""
    name = f"/srv/shop/data/{ESCAPES}"
    host.check_output(
        "touch %s /opt/shop/data/of-root", name.replace("/srv/shop/data/\x1b]0;owned\x07", "/srv/shop/data/\x1b")
    )
    output = check(
        ansible_output,
        {"advised": {"writable_paths": ["/srv/shop/data"]}, "safe": {"writable_paths": ["/opt/shop/data"]}},
    )
    host.check_output("rm -f /srv/shop/data/*server* /opt/shop/data/of-root")
    words = " ".join(output.split())
    assert "make shop their owner, but look first, as shop can replace their directory" in words
    assert "chown --no-dereference shop /opt/shop/data/of-root" in words
    assert "chown shop" not in words
    assert "\x1b" not in output


def test_the_diff_of_an_original_unit_hides_its_secrets(host, ansible_output):
    unit = """[Service]
User=shop
Environment=BROKER_URL=redis://:geheim-of-before@127.0.0.1/0 "STRIPE=sk_live_geheim of before"
ExecStart=/opt/shop/venv/bin/celery -A shop worker --broker=redis://:geheim-of-before@127.0.0.1/0
"""
    host.check_output("printf %%s %s > /etc/systemd/system/before.service", unit)
    output = check(ansible_output, {"before": {}}, "--diff", "-vvv")
    host.check_output("rm /etc/systemd/system/before.service && systemctl daemon-reload")
    assert "Environment=BROKER_URL=********" in output, output
    assert "geheim" not in output


def test_a_variable_that_systemd_would_refuse_is_refused_without_its_value(host, ansible_output):
    characters = {f"u{ord(each):04x}": each for each in "\0\r\x1b\x85\ufffe"}
    refused = {name: {"environment": {"TOKEN": f"geheim-4711{each}"}} for name, each in characters.items()}
    output = check(ansible_output, refused, "-vvv", "--diff")
    for name in refused:
        assert re.search(rf"{name}: environment: TOKEN.{{,30}} character", " ".join(output.split())), output
    assert "geheim-4711" not in output
    assert "geheim-4711" not in host.check_output("journalctl --no-pager --since=-5min")


def test_a_password_within_a_setting_is_refused_without_its_value(host, ansible_output):
    nested = {"broker_transport_options": {"sentinel_kwargs": {"password": "geheim-4711"}}}
    output = check(ansible_output, {"nested": {"settings": nested}})
    assert "'broker_transport_options.sentinel_kwargs.password' contains a password" in " ".join(output.split())
    assert shlex.quote("geheim-4711") not in output
