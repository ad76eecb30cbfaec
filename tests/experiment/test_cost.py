"""Time, memory and latency of a block of work."""

import time

import numpy as np
import pytest

from xlrank.experiment.cost import Meter, joint_cost, measured, query_latency, summary


def test_seconds_and_the_peak_of_a_block_alone() -> None:
    def peak(megabytes: int) -> float:
        with measured() as meter:
            held = np.ones(megabytes * 2**17)
            time.sleep(0.02)
            del held
        assert 0.02 <= meter.seconds < 5
        assert meter.peak_memory_mb is not None
        return meter.peak_memory_mb

    low, high, again = peak(1), peak(200), peak(1)
    assert high - low > 150
    assert high - again > 150, "the peak of an earlier block counts no longer"


def test_what_is_made_of_others_costs_what_they_cost_as_well() -> None:
    dense = {"seconds": 2.5, "peak_memory_mb": 900.0}
    ranker = {"seconds": 10.0, "peak_memory_mb": 700.0, "pairs": 60, "resumed": False}
    both = joint_cost(Meter(0.25, 120.0), {"d": dense, "r": ranker})
    assert both == {"seconds": 12.75, "made_of": {"d": 2.5, "r": 10.0}, "peak_memory_mb": 900.0, "pairs": 60}
    assert joint_cost(Meter(0.25, None), {"x": {}})["peak_memory_mb"] is None
    assert joint_cost(Meter(), {"r": ranker | {"resumed": True}, "d": dense})["resumed"]


def test_what_stands_behind_several_parts_counts_once() -> None:
    fusion = joint_cost(Meter(0.5), {"d": {"seconds": 2.0}, "b": {"seconds": 4.0}})
    one = joint_cost(Meter(1.0), {"f": fusion})
    other = joint_cost(Meter(0.25), {"f": fusion, "b": {"seconds": 4.0}})
    assert (fusion["seconds"], one["seconds"], other["seconds"]) == (6.5, 7.5, 6.75)
    assert joint_cost(Meter(0.25), {"1": one, "2": other})["seconds"] == 0.25 + 1.0 + 0.25 + 6.5


def test_latency_is_in_milliseconds() -> None:
    assert 10 <= query_latency(lambda: time.sleep(0.01)) < 500


def test_median_and_95th_percentile() -> None:
    assert summary([]) is None
    assert summary([5.0]) == {"median": 5.0, "p95": 5.0}
    found = summary([float(i) for i in range(1, 102)])
    assert found == {"median": 51.0, "p95": pytest.approx(np.quantile(range(1, 102), 0.95))}
