"""What the tests of whole experiments share: a plan as options, running it with changes, and watching what it does."""

from pathlib import Path
from typing import Any

import pytest

from xlrank.experiment import run_experiment
from xlrank.experiment.options import experiment_of
from xlrank.progress import StageProgress, silent
from xlrank.ranking.cross import CrossEncoder
from xlrank.ranking.vectors import TextVectors
from xlrank.retrieval.dense import MeanPooledEncoder

Options = dict[str, Any]
RANKERS = ["monobert", "query", "document", "split"]


def run(plan: Options, out: Path, progress: StageProgress = silent, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run the plan with some options changed."""
    return run_experiment(experiment_of(**{**plan, **changes}), out, progress)


def folder_of(plan: Options) -> Path:
    return Path(plan["collection"].removeprefix("folder:"))


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every use of the encoder a failure."""

    def failing(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise AssertionError("the encoder was used")

    monkeypatch.setattr(CrossEncoder, "_outputs", failing)
    monkeypatch.setattr(TextVectors, "_vectors", failing)
    monkeypatch.setattr(MeanPooledEncoder, "encode", failing)


def count(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[Any]:
    """The calls of a method, by their query language or first argument."""
    original, calls = getattr(owner, name), []

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(options.get("query_language") or arguments[0])
        return original(self, *arguments, **options)

    monkeypatch.setattr(owner, name, counting)
    return calls
