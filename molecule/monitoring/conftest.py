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

    def fired(self, alert, during="", **labels):
        """Whether it fires, or has fired within a time such as 1h."""
        state = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        return any(
            self._is_ours(found, labels)
            for found, _value in self.ask(f"last_over_time({state}[{during}])" if during else state)
        )

    def received(self, status, alert, **labels):
        """Whether a message with this alert has arrived. status: firing or resolved."""
        lines = self.server.run("cat /var/lib/alerts.jsonl").stdout.splitlines()
        return any(
            message["status"] == status and self._is_ours(message["labels"], {"alertname": alert, **labels})
            for message in map(json.loads, lines)
        )

    def fires(self, alert, **labels):
        """Waits until it has fired in Prometheus, and its message has arrived."""
        self.wait_for(lambda: self.fired(alert, "1h", **labels), f"{alert} {labels} to fire")
        self.wait_for(lambda: self.received("firing", alert, **labels), f"the message of {alert}")

    def ends(self, alert, **labels):
        self.wait_for(lambda: not self.fired(alert, **labels), f"the end of {alert} {labels}")
        self.wait_for(lambda: self.received("resolved", alert, **labels), f"the message that {alert} is over")

    def _is_ours(self, found, labels):
        """Whether an alert with these labels is about this host. Some are about what hosts share."""
        return {"instance": self.server.name, **found}.items() >= {"instance": self.server.name, **labels}.items()


@pytest.fixture(scope="module")
def monitor(server):
    return Monitor(server)
