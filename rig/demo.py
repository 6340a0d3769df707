"""A demonstration: an example's broken servers in containers, before and after site.yml.

demo.py EXAMPLE: a directory below examples/ with a demo.yml, which contains the rest. If the inventory has several
hosts, its `host` is the one where work is sent and the report is made. If more than the workers has to be rolled back,
`rollback` names the playbooks.
"""

import json
import subprocess
import sys
from pathlib import Path

import clean
import yaml

STEPS = 5
PAGES = Path(".cache/demo")
NEXT = """
The server works. What to try next:

  Log in, for example for systemctl status {unit}
    docker exec -it {server} bash
  Stop the worker's main process: systemd restarts it within 45 s
    docker exec {server} sh -c 'kill -STOP $(systemctl show -P MainPID {unit})'
  Run the playbook again: nothing changes
    {playbook} -i {inventory} site.yml
  Roll back to the original units
{rollback}
  Start again with a broken server
    make demo EXAMPLE={example}
  Remove the server and its swap
    make clean
"""
PLAYBOOK = ".venv/bin/ansible-playbook"
ROLLBACK = ("playbooks/rollback.yml -e celery_worker_rollback_to=original",)


def main(example: str) -> None:
    directory = Path("examples", example)
    if not (directory / "demo.yml").exists():
        demos = ", ".join(sorted(path.parent.name for path in Path("examples").glob("*/demo.yml")))
        sys.exit(f"There is no {directory}/demo.yml. Examples with a demo: {demos}.")
    demo = yaml.safe_load((directory / "demo.yml").read_text())
    inventory, server = demo["inventory"], server_of(demo["inventory"], demo.get("host"))

    clean.remove_containers("evenkeel=demo")
    show(1, "Start small servers: containers with Debian 12, systemd and Redis")
    play(inventory, "rig/server.yml")
    show(2, f"Break it: {demo['faults']}")
    play(inventory, directory / "playbooks/broken.yml")
    work(server, demo)
    before = state(server, demo)
    report(inventory, "before", "none")
    show(3, f"Repair it: ansible-playbook site.yml -i {inventory}")
    play(inventory, "site.yml")
    show(4, "Do the same work again")
    work(server, demo)
    show(5, "Compare before and after")
    print(table(before, state(server, demo)))
    report(inventory, "after", "table")
    print(f"\n  As pages: {PAGES}/before.html and {PAGES}/after.html")
    rollback = "\n".join(f"    {PLAYBOOK} -i {inventory} {each}" for each in demo.get("rollback", ROLLBACK))
    names = {"example": example, "inventory": inventory, "server": server, "unit": demo["unit"]}
    print(NEXT.format(**names, playbook=PLAYBOOK, rollback=rollback))


def server_of(inventory: str, host: str | None) -> str:
    """The container that is this host of the inventory; the only one if none is named."""
    listing = subprocess.run(
        ["ansible-inventory", "--inventory", inventory, "--list"], stdout=subprocess.PIPE, check=True
    ).stdout
    hosts = json.loads(listing)["_meta"]["hostvars"]
    (server,) = [hosts[host]] if host else hosts.values()
    return server["ansible_host"]


def show(step: int, what: str) -> None:
    print(f"\n\033[1m▶ {step} of {STEPS}  {what}\033[0m", flush=True)


def play(inventory: str, playbook: object, *options: str) -> None:
    run("ansible-playbook", "--inventory", inventory, str(playbook), *options)


def report(inventory: str, name: str, form: str) -> None:
    """The report on all servers, as a page and in the terminal."""
    PAGES.mkdir(parents=True, exist_ok=True)
    wanted = {"file": str(PAGES / f"{name}.html"), "format": form, "fail_on": "never"}
    variables = {f"celery_report_{option}": value for option, value in wanted.items()}
    play(inventory, "playbooks/report.yml", "--extra-vars", json.dumps(variables))


def work(server: str, demo: dict) -> None:
    print(f"\n  {demo['work']}", flush=True)
    on_server(server, demo["work_command"])


def state(server: str, demo: dict) -> dict[str, str]:
    """What the example's report says of the server."""
    command = ["docker", "exec", server, *demo["report_command"].split()]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def table(before: dict[str, str], after: dict[str, str]) -> str:
    rows = [("", "before", "after"), *((key, before[key], after[key]) for key in before)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("─" * width for width in widths))
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def on_server(server: str, command: str) -> None:
    run("docker", "exec", server, "sh", "-c", command)


def run(*command: str) -> None:
    result = subprocess.run(command, check=False)
    if result.returncode:
        sys.exit(f"\nThe demo failed: {' '.join(command)} exited with {result.returncode}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
