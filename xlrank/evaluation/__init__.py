"""Evaluation: what a run is worth, topic by topic, and whether a difference between two runs can be chance."""

from xlrank.evaluation.measured import Evaluation
from xlrank.evaluation.metrics import METRICS, evaluate
from xlrank.evaluation.significance import Comparison, Tests, compare, compare_all

__all__ = ["METRICS", "Comparison", "Evaluation", "Tests", "compare", "compare_all", "evaluate"]
