"""xlrank: cross-lingual retrieval and reranking with language and ranking modules that are composed at inference.

Names are loaded when first used, so that importing the package is instant and needs no torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlrank.bases import Base
    from xlrank.collections import Collection, Document, Topic
    from xlrank.composition import Composition, parse, split
    from xlrank.errors import XlrankError
    from xlrank.evaluation import evaluate
    from xlrank.modules import Module
    from xlrank.ranking import Ranker
    from xlrank.retrieval import Search, first_stage, fuse
    from xlrank.runs import Run

__version__ = "0.1.0"

_HOMES = {
    "Base": "bases",
    "Collection": "collections",
    "Composition": "composition",
    "Document": "collections",
    "Module": "modules",
    "Ranker": "ranking",
    "Run": "runs",
    "Search": "retrieval",
    "Topic": "collections",
    "XlrankError": "errors",
    "evaluate": "evaluation",
    "first_stage": "retrieval",
    "fuse": "retrieval",
    "parse": "composition",
    "split": "composition",
}

__all__ = [
    "Base",
    "Collection",
    "Composition",
    "Document",
    "Module",
    "Ranker",
    "Run",
    "Search",
    "Topic",
    "XlrankError",
    "evaluate",
    "first_stage",
    "fuse",
    "parse",
    "split",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module 'xlrank' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"xlrank.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
