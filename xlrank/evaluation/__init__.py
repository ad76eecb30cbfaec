"""Evaluation: what a run is worth, topic by topic, and whether a difference between two runs can be chance."""

from xlrank.evaluation.metrics import METRICS, evaluate
from xlrank.evaluation.significance import Comparison, compare

__all__ = ["METRICS", "Comparison", "compare", "evaluate"]
