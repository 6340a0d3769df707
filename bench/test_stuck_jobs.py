"""Goals of the benchmark of stuck jobs."""

import pytest
from databases.case import FLOOR, OURS, UPDATE, Case
from stuck_jobs import Run, verdict

RUNS = {
    UPDATE: [Run(1, 1, {"writer": 900}), Run(2, 1, {"writer": 900})],
    FLOOR: [Run(1, 1, {"writer": 10}), Run(1, 1, {"writer": 10})],
    OURS: [Run(1.5, 1, {"writer": 51}), Run(3, 1, {"writer": 50})],
}


@pytest.mark.parametrize(
    ("goal", "most", "reached"),
    [
        (UPDATE, 1.5, "time beside one UPDATE: goal 1.5, met in 2 of 2 rounds (1.50 1.50)"),
        (FLOOR, 1.5, "time beside floor: goal 1.5, met in 1 of 2 rounds (1.50 3.00)"),
        ("writer", 50, "ms that a writer waits: goal 50, met in 1 of 2 rounds (51 50)"),
    ],
)
def test_a_goal_is_met_in_so_many_rounds_each_by_itself(goal, most, reached):
    case = Case("WAL", renew=print, stuck=int, contenders=dict.fromkeys(RUNS, ()), others={}, goals={goal: most})
    assert verdict(case, RUNS, goal) == f"- WAL: {reached}"
