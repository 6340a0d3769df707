"""Workers run, and the clean-up asks them, whatever the broker, the directory and the command are (docs/servers.md)."""

SCRIPT = "/usr/local/lib/evenkeel/cleanup_stuck_jobs.py"
ASKED = ("tls", "socket", "sentinel", "shadow")


def test_root_asks_each_application_as_its_owner_and_its_workers_do_the_lost_jobs(server, wait_for):
    result = server.run(SCRIPT)
    for name in ASKED:
        assert f"{name}: 1 in jobs reset to pending" in result.stdout, result.stdout + result.stderr
    wait_for(lambda: server.done(*(f"lost-{name}" for name in ASKED)), "the lost jobs to be done")


def test_a_worker_of_an_earlier_release_has_ended_before_the_start(server):
    main = server.show("released", "MainPID")["MainPID"]
    assert server.check_output(f"readlink /proc/{main}/cwd") == "/srv/shop/releases/2"
    assert server.check_output("pgrep --full '[-]A shop worker .*released@'") == main
    server.serve("released")


def test_a_worker_has_as_many_children_as_tasks_wait_up_to_the_most(server):
    tasks = [f"scale-{number}-" for number in range(3)]
    for task in tasks:
        server.hold(task, "scaled")
    server.release(*(f"{task}scaled" for task in tasks))


def test_a_worker_keeps_what_it_knows_in_a_file(server, wait_for):
    before = server.run_of("scaled").id
    server.check_output("systemctl restart scaled")
    server.next_run("scaled", before)
    assert server.check_output("ls /opt/shop/data/state*")
