"""A host of this scenario, as both files of tests look at it."""

import time

import pytest

SEND = (
    "import sys; sys.path.insert(0, '/opt/shop'); from shop import app;"
    " [app.send_task('shop.sleep', [sys.argv[1] + queue, float(sys.argv[2])], queue=queue) for queue in sys.argv[3:]]"
)


class Server:
    def __init__(self, host, wait_for):
        self.host, self.wait_for = host, wait_for
        self.name, self.proofs = host.backend.get_hostname(), 0
        self.run, self.check_output = host.run, host.check_output

    def show(self, unit, *properties):
        """Of a unit, as systemd has them now."""
        output = self.check_output("systemctl show --timestamp=unix %s --property=%s", unit, ",".join(properties))
        return dict(line.split("=", 1) for line in output.splitlines())

    def journal(self, unit):
        return self.check_output("journalctl --no-pager --output=cat --unit %s", unit)

    def send(self, name, seconds, *queues, port=6380):
        """Sends a task of so many seconds to each queue: it is done as `name` and the queue."""
        words = f"{name} {seconds} {' '.join(queues)}"
        self.check_output(f'BROKER=redis://127.0.0.1:{port}/0 /opt/shop/venv/bin/python -c "{SEND}" {words}')

    def done(self, *tasks):
        """Have all of these been done, and none of them twice?"""
        log = self.check_output("cat /opt/shop/data/done.log").split()
        assert not [task for task in tasks if log.count(task) > 1], "done more than once"
        return set(tasks) <= set(log)

    def serve(self, *queues, port=6380):
        """The workers of these queues have a task done now."""
        self.proofs += 1
        name = f"proof-{time.time():.0f}-{self.proofs}-"
        self.send(name, 0, *queues, port=port)
        self.wait_for(lambda: self.done(*(name + queue for queue in queues)), 60, f"a task done by {queues}")


@pytest.fixture(scope="module")
def server(host, wait_for):
    return Server(host, wait_for)
