"""Which word pieces met in late rankers' best documents: written once, anew when the run changed, read by the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.experiment.plans import Options, forbid, run
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.ranking import Ranker
from xlrank.report import write_report
from xlrank.runs import Run

SYSTEMS = ["dense", "late()", "split"]
FILE = "matches/small/ky-en.late__.jsonl"


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_they_are_what_explain_says(plan: Options, out: Path, tiny_base: Base) -> None:
    results = run(plan, out, languages=["ky"], systems=SYSTEMS)
    assert [str(path.relative_to(out)) for path in (out / "matches").rglob("*.jsonl")] == [FILE]
    head, *lines = lines_of(out / FILE)
    assert list(head) == ["key"]
    row = next(row for row in results["rows"] if row["system"] == "late()")
    rankings = Run.read(out / row["run"]).rankings
    best = [(topic, document) for topic in rankings for document, _ in rankings[topic][:3]]
    assert sorted((line["topic"], line["document"]) for line in lines) == sorted(best)
    source, ranker = Collection(plan["collection"]), Ranker(tiny_base, "late()", precision="fp32")
    queries = {topic.id: topic.query() for topic in source.topics("ky")}
    for line in lines:
        document = source.documents("en").fetch([line["document"]])[line["document"]]
        expected = ranker.explain(queries[line["topic"]], document)
        assert [match[0] for match in line["matches"]] == list(expected.query_pieces)
        for (_, piece, cosine), match in zip(line["matches"], expected.matches, strict=True):
            # Stored vectors are float16: where two pieces are equally near, either may be the best.
            assert cosine == pytest.approx(match.cosine, abs=2e-3) and piece in expected.document_pieces
    write_report(out)
    assert "leaderboard.html" in {path.name for path in out.iterdir()}


def test_they_are_made_once_and_anew_for_another_run(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(plan, out, languages=["ky"], systems=SYSTEMS)
    before = (out / FILE).read_bytes()
    with monkeypatch.context() as patch:
        forbid(patch)
        run(plan, out, languages=["ky"], systems=SYSTEMS)
    assert (out / FILE).read_bytes() == before
    (out / FILE).write_text("damaged\n", encoding="utf-8")
    run(plan, out, languages=["ky"], systems=SYSTEMS)
    assert (out / FILE).read_bytes() == before
    run(plan, out, languages=["ky"], systems=SYSTEMS, fields="title")
    assert lines_of(out / FILE)[0] != json.loads(before.splitlines()[0])


def test_without_late_rankers_there_are_none(plan: Options, out: Path) -> None:
    run(plan, out, languages=["ky"], systems=["dense", "split"])
    assert not (out / "matches").exists()
