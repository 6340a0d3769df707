"""The charts of the page."""

import re

import pytest
from ansible_collections.evenkeel.celery.plugins.plugin_utils._report.charts import LABEL, memory_curve
from reports import HOUR, MIB, NOW, WINDOW


@pytest.mark.parametrize("limit", [None, *(share * MIB for share in (50, 99, 100, 101, 105, 110, 125, 150, 300))])
def test_the_label_of_the_peak_is_above_the_curve_and_on_no_line(limit):
    series = [(NOW - hour * HOUR, (100 - hour) * MIB) for hour in range(9, -1, -1)]
    text = str(memory_curve(series, tuple(WINDOW), limit, NOW, "Memory"))
    peak = float(re.search(r'<circle [^>]*cy="([\d.]+)"', text)[1])
    bottom = float(re.search(r'<text [^>]*y="([\d.]+)"[^>]*>100 MiB', text)[1])
    lines = [float(y) for y in re.findall(r'<line [^>]*y1="([\d.]+)"[^>]*class="limit"', text)]
    assert LABEL - 3 <= bottom < peak
    assert not [y for y in lines if bottom - LABEL < y <= bottom]
