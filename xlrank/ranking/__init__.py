"""Ranking: composed encoders score query-document pairs."""

from xlrank.progress import Progress
from xlrank.ranking.explain import Explanation, Match
from xlrank.ranking.journal import Journal
from xlrank.ranking.ranker import Hit, Ranker

__all__ = ["Explanation", "Hit", "Journal", "Match", "Progress", "Ranker"]
