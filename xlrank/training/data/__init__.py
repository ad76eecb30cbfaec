"""Training data of ranking modules: read, looked up, split, batched, mined and scored by a teacher."""

from xlrank.training.data.collate import Collator
from xlrank.training.data.headlines import headline_pairs
from xlrank.training.data.jsonl import read_examples, read_groups
from xlrank.training.data.mining import mine
from xlrank.training.data.opening import TrainingData, open_data
from xlrank.training.data.records import Example, Targets
from xlrank.training.data.teacher import group_rows, score_with, write_groups

__all__ = [
    "Collator",
    "Example",
    "Targets",
    "TrainingData",
    "group_rows",
    "headline_pairs",
    "mine",
    "open_data",
    "read_examples",
    "read_groups",
    "score_with",
    "write_groups",
]
