"""Experiments: collection, systems and languages in; runs, results and leaderboard out."""

from xlrank.experiment.pipeline import Plan, run_plan

__all__ = ["Plan", "run_plan"]
