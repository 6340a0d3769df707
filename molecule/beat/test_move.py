"""A beat runs on one host, and moves from one to the other."""

import pytest

PLAYBOOK = "molecule/beat/move.yml"

pytestmark = pytest.mark.xdist_group("move")


@pytest.fixture(scope="module")
def first_and_second(servers):
    return sorted(servers, key=lambda server: server.name)


def move_to(rollout, server, *options):
    return rollout(PLAYBOOK, "--extra-vars", f"celery_beat_host={server.name}", *options)


def running(servers):
    """The hosts on which the beat runs, or has left something."""
    found = {server.name: server.run("ls /var/lib/evenkeel/beat/moving").rc == 0 for server in servers}
    active = {server.name: server.run("systemctl is-active moving").stdout.strip() == "active" for server in servers}
    assert found == active
    return [name for name, runs in active.items() if runs]


def test_a_beat_runs_on_one_host_only_and_moves_even_if_the_other_is_excluded(rollout, first_and_second):
    first, second = first_and_second
    run = move_to(rollout, first)
    assert run.returncode == 0, run.stdout
    assert running(first_and_second) == [first.name]

    run = move_to(rollout, second, "--limit", second.name)
    assert run.returncode == 0, run.stdout
    assert running(first_and_second) == [second.name]

    run = move_to(rollout, second)
    assert " changed=0 " in run.stdout.split("PLAY RECAP")[1].splitlines()[1], run.stdout


def test_a_host_that_is_not_in_the_group_is_refused(rollout):
    run = rollout(PLAYBOOK, "--extra-vars", "celery_beat_host=elsewhere", "--check")
    assert "celery_beat_host 'elsewhere' is not a host of the group celery_workers" in " ".join(run.stdout.split())


def test_a_beat_does_not_move_while_it_may_be_running_on_a_host_that_cant_be_reached(
    rollout, first_and_second, tmp_path
):
    first, second = first_and_second
    assert running([second]) == [second.name]
    unreachable = tmp_path / "unreachable.ini"
    unreachable.write_text(f"{second.name} ansible_host=no-such-container\n")
    run = move_to(rollout, first, "--inventory", str(unreachable))
    assert run.returncode != 0
    text = " ".join(run.stdout.split())
    assert f"moving can't be moved to {first.name}, as {second.name} can't be reached and may still run" in text, text
    assert running(first_and_second) == [second.name]
