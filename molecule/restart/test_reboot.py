"""All hosts reboot in the middle of 200 tasks. Worker and broker start at boot."""


def test_a_reboot_loses_no_task(server, rebooted, recovered, all_done):
    server.wait_for(lambda: server.run("systemctl is-active --quiet restarted").rc == 0, "the worker")
    assert server.show("restarted", "NRestarts") == {"NRestarts": "0"}
    recovered("reboot", server.run_of("restarted").ready - rebooted)
    assert all_done("reboot") == 0
