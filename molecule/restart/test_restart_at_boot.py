"""A broker is missing when the hosts boot (conftest.py); the faults of test_restart.py have occurred meanwhile."""


def test_a_worker_without_its_broker_at_boot_is_started_again_until_it_is_there(server, rebooted, recovered):
    """Through more starts than start_limit_burst allows."""
    burst = int(server.show("waiting", "StartLimitBurst")["StartLimitBurst"])
    server.wait_for(lambda: server.journal("waiting").count("start operation timed out") > burst, "enough starts")
    server.check_output("systemctl start broker@6382")
    came = server.now()
    server.wait_for(lambda: server.run_of("waiting").state == "active", "the worker")
    recovered("no broker at boot: after it came", server.run_of("waiting").ready - came)
    server.serve("waiting", port=6382)
