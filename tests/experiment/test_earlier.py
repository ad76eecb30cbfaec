"""A results folder that is used again: rows of other languages stay, and what was replaced or removed is said."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.experiment.plans import Options, folder_of, run
from xlrank.collections.reading import read_qrels
from xlrank.evaluation.verify import verify
from xlrank.report import write_report


def places(results: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["language"], row["system"]) for row in results["rows"]]


def test_rows_of_other_languages_stay(plan: Options, out: Path) -> None:
    """Also their judgements and documents: every figure of the folder can be recomputed."""
    small = plan | {"systems": ("dense", "query")}
    with (folder_of(plan) / "topics.tr.tsv").open("a") as stream:
        stream.write("77\tsu nehir\n")
    with (folder_of(plan) / "qrels.txt").open("a") as stream:
        stream.write("77 0 d1 1\n")
    before = run(small, out, languages=["tr"])
    texts = (out / "texts/small.documents.en.jsonl").read_text()
    after = run(small, out, languages=["ky"])
    pair = before["rows"][0]["collection"]
    assert places(after) == [("tr", "dense"), ("tr", "query"), ("ky", "dense"), ("ky", "query")]
    assert after["rows"][:2] == before["rows"]
    assert after["notes"] == [f"{pair} tr-en: earlier rows stay: dense, query"]
    assert "77" in read_qrels(out / "qrels/small.en.txt")
    assert set(texts.splitlines()) <= set((out / "texts/small.documents.en.jsonl").read_text().splitlines())
    assert verify(out) == []
    write_report([out])
    assert "tr → en" in (out / "leaderboard.md").read_text() and "ky → en" in (out / "leaderboard.md").read_text()
    again = run(small, out, languages=["ky", "tr"])
    assert sorted(places(again)) == sorted(places(after)) and again["notes"] == [], "the same rows are not replaced"


def test_rows_that_another_process_adds_in_the_meantime_stay(plan: Options, out: Path) -> None:
    small = plan | {"systems": ("dense",)}
    others: list[dict[str, Any]] = []

    @contextmanager
    def meanwhile(_description: str) -> Iterator[Callable[[int, int], None]]:
        if not others:
            others.append({})
            others.append(run(small, out, languages=["tr"]))
        yield lambda _done, _total: None

    results = run(small, out, meanwhile, languages=["ky"])
    assert len(others[1]["rows"]) == 1 and sorted(places(results)) == [("ky", "dense"), ("tr", "dense")]
    assert verify(out) == []


def test_replaced_and_removed_rows_are_said(plan: Options, out: Path) -> None:
    small = plan | {"languages": ("ky",)}
    run(small, out, systems=["dense", "query", "document"])
    with (folder_of(plan) / "qrels.txt").open("a") as stream:
        stream.write("10 0 d5 1\n")
    results = run(small, out, systems=["dense", "query"])
    pair = f"{results['rows'][0]['collection']} ky-en"
    assert places(results) == [("ky", "dense"), ("ky", "query")]
    assert results["notes"] == [
        f"{pair}: earlier rows replaced: dense, query",
        f"{pair}: earlier rows removed, the experiment no longer has these systems: document",
    ]


def test_rows_that_were_measured_otherwise_do_not_stay(plan: Options, out: Path) -> None:
    small = plan | {"systems": ("dense",)}
    first = run(small, out, languages=["tr"])
    pair = f"{first['rows'][0]['collection']} tr-en"
    results = run(small, out, languages=["ky"], metrics=["map", "mrr"], without_relevant="zero")
    assert places(results) == [("ky", "dense")]
    assert results["notes"] == [
        f"{pair}: earlier rows removed, they were measured with other metrics, topics without relevant: dense"
    ]
    assert verify(out) == []
    results = run(small, out, languages=["tr"], metrics=["map", "mrr"], without_relevant="zero", depth=2)
    assert places(results) == [("ky", "dense"), ("tr", "dense")]
    assert results["notes"] == [f"{pair.replace('tr-', 'ky-')}: earlier rows stay, made with other depth: dense"]


def test_rows_stay_beside_another_baseline(plan: Options, out: Path) -> None:
    run(plan, out, languages=["tr"], systems=["dense", "query"])
    results = run(
        plan, out, languages=["ky"], systems=["query", "document"], tests={"baseline": "document", "method": "randomisation"}
    )
    compared = {(row["language"], row["system"]): row["comparison"] and row["comparison"]["baseline"] for row in results["rows"]}
    assert compared == {("tr", "dense"): None, ("tr", "query"): None, ("ky", "query"): "document", ("ky", "document"): None}
    assert verify(out) == []


def test_what_a_budget_left_out_stays(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(plan, out, languages=["ky"], systems=["dense", "query"])
    seconds = itertools.count(0, 45)
    monkeypatch.setattr("xlrank.experiment.pipeline.monotonic", lambda: next(seconds))
    results = run(plan, out, languages=["ky"], systems=["dense", "query"], budget={"minutes": 1, "latency_topics": 1})
    pair = f"{results['rows'][0]['collection']} ky-en"
    assert sorted(places(results)) == [("ky", "dense"), ("ky", "query")]
    assert results["notes"] == [
        f"{pair} query: not made, the budget of 1 minutes was used up",
        f"{pair}: earlier rows stay: query",
    ]


def test_a_damaged_file_is_said(plan: Options, out: Path) -> None:
    small = plan | {"languages": ("ky",), "systems": ("dense",)}
    rows = run(small, out)["rows"]
    for damage in ("{", "[]", json.dumps({"rows": [{}]})):
        (out / "results.json").write_text(damage)
        results = run(small, out)
        assert results["rows"] == rows
        assert results["notes"] == ["results.json: was damaged or of an older format, so that no earlier rows stay"]
