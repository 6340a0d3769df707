"""A sick server, healed before your eyes: the slideshow generator in a container."""

import subprocess
import sys

import clean

STEPS = 5
NEXT = """
The server is healthy. Next things to try:
  docker exec -it evenkeel-demo bash                       look around: systemctl status celery-worker
  docker exec evenkeel-demo sh -c 'kill -STOP $(systemctl show -P MainPID celery-worker)'
                                                           hang the worker: within 45 s systemd has restarted it
  .venv/bin/ansible-playbook -i inventory/demo site.yml    again: nothing changes
  .venv/bin/ansible-playbook -i inventory/demo playbooks/rollback.yml -e celery_worker_rollback_to=original
                                                           the unit of before comes back
  make demo                                                once more, from a sick server on
  make clean                                               remove the server, and its swap with it
"""


def main() -> None:
    clean.remove_containers("evenkeel=demo")
    say(1, "A small server: a container with Debian 12, systemd and Redis")
    play("rig/server.yml")
    say(2, "Make it sick: worker processes as root, leftovers of earlier runs, stuck jobs, no limits, no swap")
    play("examples/slideshow/playbooks/sick.yml")
    make_slideshows()
    on_server("python3 /opt/slideshow/report.py --save /root/before.json")
    say(3, "Heal it: ansible-playbook site.yml -i inventory/demo")
    play("site.yml")
    say(4, "The same work again")
    make_slideshows()
    say(5, "Before and after")
    on_server("python3 /opt/slideshow/report.py --compare /root/before.json")
    print(NEXT)


def say(step: int, what: str) -> None:
    print(f"\n\033[1m▶ {step} of {STEPS}  {what}\033[0m", flush=True)


def play(playbook: str) -> None:
    run("ansible-playbook", "--inventory", "inventory/demo", playbook)


def make_slideshows() -> None:
    """Real work through the API: three slideshows of 20 images each. The quota's minutes last six seconds."""
    print("\n  Three slideshows of 20 images each", flush=True)
    on_server("curl --silent --fail --request POST 'http://127.0.0.1:8089/reset?rpm=20&scale=10' >/dev/null")
    for _ in range(3):
        on_server("""curl --silent --fail --json '{"images": 20}' http://127.0.0.1:8080/api/jobs >/dev/null""")
    on_server("python3 /opt/slideshow/wait_for_jobs.py 120")


def on_server(command: str) -> None:
    run("docker", "exec", "evenkeel-demo", "sh", "-c", command)


def run(*command: str) -> None:
    result = subprocess.run(command, check=False)
    if result.returncode:
        sys.exit(f"\nThe demo ends here: {' '.join(command)} ended with {result.returncode}.")


if __name__ == "__main__":
    main()
