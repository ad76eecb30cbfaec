"""Ranking: composed encoders score query-document pairs."""

from xlrank.ranking.journal import Journal
from xlrank.ranking.ranker import Hit, Progress, Ranker

__all__ = ["Hit", "Journal", "Progress", "Ranker"]
