"""Removes what the demo, the benchmark and the tests created, but not .venv: containers with their swap, networks,
volumes, images and caches.

clean.py keep-swappiness: only saves vm.swappiness. It is the whole machine's, and the hosts in containers change it.
"""

import shutil
import sys
from pathlib import Path

import docker
from docker.errors import DockerException

SWAPPINESS = Path("/proc/sys/vm/swappiness")
KEPT = Path(".cache/rig/swappiness")
IMAGE = "evenkeel/server:debian12"
IMAGES = ("evenkeel/export", "evenkeel/guest", "evenkeel/server", "evenkeel/tools")
HOSTS = ("evenkeel", "owner=molecule")  # labels: the demo's and the benchmark's, and the scenarios'
CACHES = (".cache", ".pytest_cache", ".hypothesis", ".ruff_cache")


def remove_containers(label: str) -> None:
    for container in docker.from_env().containers.list(all=True, filters={"label": label}):
        if container.status == "running":
            # Swap is the machine's: it would stay active without its container.
            container.exec_run(["sh", "-c", "swapoff /mnt/swap/* 2>/dev/null || true"])
        print(f"Removing the container {container.name}", flush=True)
        container.remove(force=True, v=True)


def remove_networks_and_volumes(label: str) -> None:
    """What compose has made for the scenario `export`."""
    engine, of_ours = docker.from_env(), {"label": label}
    for left in [*engine.networks.list(filters=of_ours), *engine.volumes.list(filters=of_ours)]:
        left.remove()


def keep_swappiness() -> None:
    if not KEPT.exists():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(SWAPPINESS.read_text())


def restore_swappiness() -> None:
    """Unless running hosts rely on the current value: then the next run or `make clean` restores it."""
    if not KEPT.exists() or running_hosts():
        return
    if KEPT.read_text() != SWAPPINESS.read_text():
        write = f"mount -o remount,rw /proc/sys && echo {int(KEPT.read_text())} > {SWAPPINESS}"
        options = {"cap_add": ["SYS_ADMIN"], "security_opt": ["seccomp=unconfined"], "remove": True}
        docker.from_env().containers.run(IMAGE, ["sh", "-c", write], **options)
    KEPT.unlink()


def running_hosts() -> list:
    containers = docker.from_env().containers
    return [host for label in HOSTS for host in containers.list(filters={"label": label})]


def clean() -> None:
    try:
        engine = docker.from_env()
    except DockerException:
        print("No Docker engine answers. Only the caches are removed.")
    else:
        for label in HOSTS:
            remove_containers(label)
            remove_networks_and_volumes(label)
        restore_swappiness()
        for tag in [tag for name in IMAGES for image in engine.images.list(name) for tag in image.tags]:
            engine.images.remove(tag, force=True)
        # Earlier ones, whose names others have by now.
        engine.images.prune(filters={"dangling": True, "label": "recipe"})
    for cache in [*CACHES, *bytecode()]:
        shutil.rmtree(cache, ignore_errors=True)


def bytecode() -> list[Path]:
    """The __pycache__ directories of the checkout, but not those of .venv."""
    directories = [entry for entry in Path().iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return [cache for directory in directories for cache in directory.rglob("__pycache__")]


if __name__ == "__main__":
    keep_swappiness() if sys.argv[1:] == ["keep-swappiness"] else clean()
