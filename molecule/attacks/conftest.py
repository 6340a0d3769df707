"""Tells in the end what each attack tried, and whether that held."""

import re


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("attacks")
    for word, outcome in (("held", "passed"), ("NOT HELD", "failed")):
        for report in terminalreporter.getreports(outcome):
            if report.when == "call":
                test, _bracket, parameters = report.nodeid.split("::")[-1].partition("[")
                host = re.search(r"debian\d+", parameters)
                # xdist puts the test's group behind it.
                attack = re.sub(r"-?ansible://attacks-debian\d+-?", "", parameters.rpartition("]")[0])
                sentence = " ".join([*test.split("_")[1:], f"({attack})" if attack else ""])
                terminalreporter.write_line(f"{word:<8}  {host[0] if host else '':<8}  {sentence}".rstrip())
