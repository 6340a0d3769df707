"""What the role has on a host: the sampler and the exporters, where they listen, and what others can see of them."""

import re

PASSWORD = "s3cr(&|%26)t"


def test_the_exporters_listen_on_the_given_address_only(host):
    address = host.interface("eth0").addresses[0]
    listening = host.check_output("ss --listening --tcp --numeric --no-header").split()
    exporters = {each for each in listening if each.endswith((":9100", ":9121"))}
    assert exporters == {f"{address}:9100", f"{address}:9121"}


def test_nobody_sees_the_password(host):
    assert not re.search(PASSWORD, host.check_output("ps axo args"))
    found = host.run(
        "runuser --user shop -- grep -rslE %s /etc /usr/local/lib/evenkeel /var/lib/evenkeel /run", PASSWORD
    )
    assert set(found.stdout.split()) <= {"/etc/systemd/system/broker@.service.d/user.conf"}, "the broker's, by the test"
    pid = host.check_output("systemctl show --property=MainPID --value prometheus-redis-exporter")
    assert host.run("runuser --user shop -- cat /proc/%s/environ", pid).rc != 0


def test_the_exporter_does_not_send_the_password_to_whom_it_is_told_to_ask(host):
    """It would send REDIS_PASSWORD to any server that /scrape?target= names."""
    address = host.interface("eth0").addresses[0]
    server = "import socket; print(socket.create_server(('', 7777)).accept()[0].recv(999))"
    scrape = f"curl -s 'http://{address}:9121/scrape?target=redis://127.0.0.1:7777'"
    sent = host.check_output(
        f"timeout 60 python3 -c %s & while kill -0 $!; do {scrape} >/dev/null; sleep 0.1; done", server
    )
    assert sent
    assert not re.search(PASSWORD, sent)


def test_the_sampler_is_no_root_and_locked_in(host):
    show = host.check_output("systemctl show evenkeel-sample --property=User,Result")
    found = dict(line.split("=", 1) for line in show.splitlines())
    assert (found["User"], found["Result"]) == ("evenkeel-monitoring", "success")
    exposure = host.check_output("systemd-analyze security --no-pager evenkeel-sample.service").splitlines()[-1]
    assert float(re.search(r"(\d+\.\d+)", exposure)[1]) < 2, exposure


def test_workers_answer_the_checks_after_a_deployment(server, rollout):
    """Asked in transient units with their own sandboxes. On a slow machine, one may answer too late."""
    checks = rollout("playbooks/report.yml", "--tags=verify", f"--limit={server.name}").stdout
    assert "inspect ping failed" not in checks, checks
    assert re.search(rf"^ok +it answers \(inspect ping\) +pong +{server.name}: \S+\s*$", checks, re.MULTILINE), checks
