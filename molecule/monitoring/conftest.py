"""A host's Prometheus, and what its alerts have reached."""

import json

import pytest


class Monitor:
    """What is known of a host: its metrics, by the Prometheus on it, and the alerts on it that have arrived."""

    def __init__(self, server):
        self.server, self.wait_for = server, server.wait_for

    def ask(self, query):
        """The answer of Prometheus: the labels and the value of each series."""
        url = "http://127.0.0.1:9090/api/v1/query"
        answer = json.loads(self.server.check_output("curl -sf %s --data-urlencode %s", url, f"query={query}"))
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def value(self, metric, **labels):
        """The value of one series of this host; None if there is none."""
        matchers = ",".join(f'{label}="{value}"' for label, value in {"instance": self.server.name, **labels}.items())
        values = [value for _labels, value in self.ask(f"{metric}{{{matchers}}}")]
        return values[0] if values else None

    def firing(self, alert, **labels):
        return any(
            {**labels, "instance": self.server.name}.items() <= {"instance": self.server.name, **found}.items()
            for found, _value in self.ask(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')
            if found.get("instance", self.server.name) == self.server.name
        )

    def received(self, status, alert, **labels):
        """Whether a message with this alert has arrived. status: firing or resolved."""
        wanted = {"alertname": alert, **labels}.items()
        lines = self.server.run("cat /var/lib/alerts.jsonl").stdout.splitlines()
        messages = [message for message in map(json.loads, lines) if message["status"] == status]
        return any(
            wanted <= message["labels"].items()
            and message["labels"].get("instance", self.server.name) == self.server.name
            for message in messages
        )

    def fires(self, alert, **labels):
        """Waits until it is firing in Prometheus, and its message has arrived."""
        self.wait_for(lambda: self.firing(alert, **labels), f"{alert} {labels} to fire")
        self.wait_for(lambda: self.received("firing", alert, **labels), f"the message of {alert}")

    def ends(self, alert, **labels):
        self.wait_for(lambda: not self.firing(alert, **labels), f"the end of {alert} {labels}")
        self.wait_for(lambda: self.received("resolved", alert, **labels), f"the message that {alert} is over")


@pytest.fixture(scope="module")
def monitor(server):
    return Monitor(server)
