"""The arithmetic of the benchmark."""

import figures
import pytest


def series(served, pss, minute=6.0, oom_kills=None):
    """One sample each second."""
    oom_kills = oom_kills or [0] * len(served)
    return [
        {
            "time": float(time),
            "served": images,
            "requests": 2 * images,
            "refused": images,
            "pss": memory,
            "pss_of_unit": memory // 2,
            "oom_kills": kills,
            "rpm": 20,
            "window_seconds": minute,
        }
        for time, (images, memory, kills) in enumerate(zip(served, pss, oom_kills))
    ]


def test_a_worker_that_uses_each_quota_at_once_uses_all_of_it():
    served = [0, *(20 * (1 + second // 6) for second in range(61))]
    assert figures.side(series(served, [1] * len(served))).quota_share == pytest.approx(1)


def test_a_worker_that_makes_half_of_the_images_uses_half_of_the_quota():
    served = [0, *(20 * (1 + second // 12) for second in range(121))]
    side = figures.side(series(served, [1] * len(served)))
    assert side.quota_share == pytest.approx(0.5)
    assert side.images_per_minute == pytest.approx(10)
    assert side.minutes_for_images == pytest.approx(16)  # eight quotas of 20, then five images more


def test_the_memory_of_an_idle_worker_does_not_count():
    served = [0, 0, 20, *[200] * 10]
    side = figures.side(series(served, [900, 900, 100, *[300] * 10]))
    assert (side.peak_memory, side.peak_memory_of_unit) == (300, 150)
    assert side.mean_memory == pytest.approx((100 + 10 * 300) / 11)


def test_oom_kills_before_a_restart_of_the_unit_are_counted():
    samples = series([0] * 6, [1] * 6, oom_kills=[2, 3, 5, 0, 1, 1])
    assert figures.oom_kills(samples) == 4


def test_of_several_rounds_the_median_of_each_figure_counts():
    rounds = [figures.Side(peak, peak, peak, refused, refused, 1, 20, 8) for peak, refused in [(9, 1), (2, 7), (3, 3)]]
    assert figures.middle(rounds) == figures.Side(3, 3, 3, 3, 3, 1, 20, 8)


@pytest.mark.parametrize(
    ("peak", "reached"),
    [(2000, "20.0 %, met"), (2000.1, "20.1 %, missed"), (2010, "20.1 %, missed"), (1999, "20.0 %, met")],
)
def test_a_goal_that_is_narrowly_missed_is_not_printed_as_met(peak, reached):
    before = figures.Side(10000, 800, 500, 100, 90, 1.0, 20, 8)
    after = figures.Side(peak, 200, 100, 30, 10, 0.9499, 18.8, 8.5)
    memory, *_, quota, _, _ = figures.rows(before, after, [])
    assert memory.reached == reached
    assert quota.reached == "94.9 %, missed"


def test_a_missed_goal_is_marked_as_missed():
    before = figures.Side(1000, 800, 500, 100, 90, 1.0, 20, 8)
    after = figures.Side(201, 200, 100, 30, 10, 0.94, 18.8, 8.5)
    rows = figures.rows(before, after, [figures.OomKills("1536M", 3, 1)])
    missed = [row.name for row in rows if not row.met]
    assert missed == [
        "Workers' memory at its peak (PSS)",
        "Calls refused (429)",
        "Share of the quota used",
        "Workers killed by the OOM killer (1536M)",
    ]
    assert "90 " in figures.markdown(rows)
    assert "missed" in figures.markdown(rows)
