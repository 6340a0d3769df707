"""What the role has on a host: the sampler and the exporters, where they listen, and what others can see of them."""

import re

PASSWORD = "s3cr(&|%26)t"


def test_the_exporters_listen_on_the_given_address_only(host):
    address = host.interface("eth0").addresses[0]
    listening = host.check_output("ss --listening --tcp --numeric --no-header").split()
    assert {f"{address}:9100", f"{address}:9121"} <= set(listening)
    assert not {f"{anywhere}:{port}" for anywhere in ("*", "0.0.0.0", "[::]") for port in (9100, 9121)} & set(listening)


def test_nobody_sees_the_password(host):
    assert not re.search(PASSWORD, host.check_output("ps axo args"))
    found = host.run(
        "runuser --user shop -- grep -rslE %s /etc /usr/local/lib/evenkeel /var/lib/evenkeel /run", PASSWORD
    )
    assert set(found.stdout.split()) <= {"/etc/systemd/system/broker@.service.d/user.conf"}, "the broker's, by the test"
    assert not host.run("runuser --user shop -- cat /proc/$(pgrep -f prometheus-redis-exporter)/environ").stdout


def test_the_exporter_does_not_send_the_password_to_whom_it_is_told_to_ask(host):
    """REDIS_PASSWORD would be sent to any server that /scrape?target= names."""
    address = host.interface("eth0").addresses[0]
    listen = (
        "timeout 5 python3 -c \"import socket; s = socket.create_server(('', 7777)); print(s.accept()[0].recv(999))\""
    )
    scrape = f"curl -s 'http://{address}:9121/scrape?target=redis://127.0.0.1:7777'"
    sent = host.check_output(f"{listen} & for i in $(seq 20); do {scrape} >/dev/null; sleep 0.1; done; wait")
    assert "SETNAME" in sent or "INFO" in sent or "AUTH" not in sent
    assert not re.search(PASSWORD, sent)


def test_the_sampler_is_no_root_and_locked_in(host, noted):
    show = host.check_output("systemctl show evenkeel-sample --property=User,Result,CPUUsageNSec")
    found = dict(line.split("=", 1) for line in show.splitlines())
    assert (found["User"], found["Result"]) == ("evenkeel-monitoring", "success")
    exposure = host.check_output("systemd-analyze security --no-pager evenkeel-sample.service").splitlines()[-1]
    assert float(re.search(r"(\d+\.\d+)", exposure)[1]) < 2, exposure
    consumed = host.check_output(
        "journalctl --no-pager --unit=evenkeel-sample --grep='Consumed .* CPU' --lines=1 || true"
    )
    noted("CPU time of a sample", consumed.rpartition("Consumed ")[2] or "unknown")


def test_a_second_run_changes_nothing(ansible_playbook):
    assert ansible_playbook("molecule/monitoring/converge.yml", "--check")["changed"] == 0
