"""Experiments: what is evaluated, from a file or from options, to a results folder."""

from xlrank.experiment.model import Experiment
from xlrank.experiment.pipeline import run_experiment
from xlrank.experiment.reading import read_experiment

__all__ = ["Experiment", "read_experiment", "run_experiment"]
