"""Metrics in Prometheus's text format."""

from ansible_collections.evenkeel.celery.plugins.module_utils._common.metrics import COUNTER, GAUGE, Metric, text

METRICS = (
    Metric("a_total", COUNTER, ("name",), "How many."),
    Metric("b_seconds", GAUGE, (), "How long."),
    Metric("c", GAUGE, (), "Unknown."),
)


def test_a_metric_without_series_is_absent():
    assert text(METRICS, {"b_seconds": {(): 1795810444.5}, "a_total": {("x",): 3, ("y",): True}}) == (
        "# HELP a_total How many.\n# TYPE a_total counter\n"
        'a_total{name="x"} 3\na_total{name="y"} 1\n'
        "# HELP b_seconds How long.\n# TYPE b_seconds gauge\nb_seconds 1795810444.5\n"
    )


def test_no_value_of_a_label_can_end_it():
    value = 'x"} 1\nup 0\\\ud800'
    assert text(METRICS, {"a_total": {(value,): 1}}).splitlines()[2:] == ['a_total{name="x\\"} 1\\nup 0\\\\?"} 1']
