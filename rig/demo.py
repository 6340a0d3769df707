"""A sick server, healed before your eyes: an example's server in a container.

demo.py EXAMPLE: a directory below examples/ with a demo.yml, which says the rest.
"""

import json
import subprocess
import sys
from pathlib import Path

import clean
import yaml

STEPS = 5
NEXT = """
The server is healthy. Next things to try:

  Look around: systemctl status {unit}
    docker exec -it {server} bash
  Hang the worker: within 45 s systemd has restarted it
    docker exec {server} sh -c 'kill -STOP $(systemctl show -P MainPID {unit})'
  Again: nothing changes
    .venv/bin/ansible-playbook -i {inventory} site.yml
  Go back: the original unit runs again
    .venv/bin/ansible-playbook -i {inventory} playbooks/rollback.yml -e celery_worker_rollback_to=original
  Once more, from a sick server on
    make demo EXAMPLE={example}
  Remove the server, and its swap with it
    make clean
"""


def main(example: str) -> None:
    directory = Path("examples", example)
    if not (directory / "demo.yml").exists():
        demos = ", ".join(sorted(path.parent.name for path in Path("examples").glob("*/demo.yml")))
        sys.exit(f"There is no {directory}/demo.yml. Examples with a demo: {demos}.")
    demo = yaml.safe_load((directory / "demo.yml").read_text())
    inventory, server = demo["inventory"], server_of(demo["inventory"])

    clean.remove_containers("evenkeel=demo")
    say(1, "A small server: a container with Debian 12, systemd and Redis")
    play(inventory, "rig/server.yml")
    say(2, f"Make it sick: {demo['illness']}")
    play(inventory, directory / "playbooks/broken.yml")
    work(server, demo)
    on_server(server, f"{demo['report_command']} --save /root/before.json")
    say(3, f"Heal it: ansible-playbook site.yml -i {inventory}")
    play(inventory, "site.yml")
    say(4, "The same work again")
    work(server, demo)
    say(5, "Before and after")
    on_server(server, f"{demo['report_command']} --compare /root/before.json")
    print(NEXT.format(example=example, inventory=inventory, server=server, unit=demo["unit"]))


def server_of(inventory: str) -> str:
    """The container that is the inventory's host."""
    listing = subprocess.run(
        ["ansible-inventory", "--inventory", inventory, "--list"], stdout=subprocess.PIPE, check=True
    ).stdout
    (host,) = json.loads(listing)["_meta"]["hostvars"].values()
    return host["ansible_host"]


def say(step: int, what: str) -> None:
    print(f"\n\033[1m▶ {step} of {STEPS}  {what}\033[0m", flush=True)


def play(inventory: str, playbook: object) -> None:
    run("ansible-playbook", "--inventory", inventory, str(playbook))


def work(server: str, demo: dict) -> None:
    print(f"\n  {demo['work']}", flush=True)
    on_server(server, demo["work_command"])


def on_server(server: str, command: str) -> None:
    run("docker", "exec", server, "sh", "-c", command)


def run(*command: str) -> None:
    result = subprocess.run(command, check=False)
    if result.returncode:
        sys.exit(f"\nThe demo ends here: {' '.join(command)} ended with {result.returncode}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
