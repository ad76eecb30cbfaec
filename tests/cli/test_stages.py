"""``xlrank search`` for a text of one's own; ``xlrank rerank`` with a published cross-encoder alone, and cut to a length."""

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import POSITIONS, SETTINGS, make_ranking
from xlrank.bases import Base
from xlrank.cli.main import app, main
from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.ranking import Ranker
from xlrank.runs import Run


def run(*words: object) -> Any:  # noqa: ANN401 - click's result
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


@pytest.fixture
def bare(small_collection: Path) -> Path:
    """The small collection's documents, without topics and judgements."""
    for path in [*small_collection.glob("topics.*"), small_collection / "qrels.txt"]:
        path.unlink()
    return small_collection


@pytest.mark.parametrize("method", [None, "psq", "bm25s(as-is)"])
def test_a_query_needs_no_topics(bare: Path, tiny_bert_folder: Path, method: str | None) -> None:
    chosen = [] if method is None else ["--method", method]
    words = ["search", "--query", "  river bridge ", "--lang", "ky", "--collection", f"folder:{bare}", "--depth", 2]
    done = run(*words, "--base", tiny_bert_folder, *chosen)
    assert done.exit_code == 0, done.output
    header, _, *rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert header == ["rank", "score", "document", "title", "or", "beginning"]
    ids = {document.id for document in Collection(f"folder:{bare}").documents("en")}
    assert [row[0] for row in rows] == ["1", "2"][: len(rows)] and rows
    assert {row[2] for row in rows} <= ids
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)


def test_what_a_query_cannot_have_is_said(bare: Path, tiny_bert_folder: Path) -> None:
    collection = ["--lang", "ky", "--collection", f"folder:{bare}", "--base", tiny_bert_folder]
    for words, problem in [
        (["--query", "алма", "--method", "bm25s"], "nobody has translated this query; take dense or psq"),
        (["--query", "  "], "--query: the text is empty"),
        ([], "expected either --out FILE"),
        (["--query", "алма", "--out", "x.trec"], "expected either --out FILE"),
    ]:
        error = run("search", *words, *collection).exception
        assert isinstance(error, XlrankError) and problem in str(error), (words, error)


def test_a_query_that_finds_nothing(bare: Path, tiny_bert_folder: Path) -> None:
    words = ["--method", "bm25s(as-is)", "--lang", "ky", "--collection", f"folder:{bare}", "--base", tiny_bert_folder]
    done = run("search", "--query", "zzzz", *words)
    assert (done.exit_code, done.stdout) == (0, "no document was found\n")


def test_a_published_cross_encoder_ranks_alone(
    tiny_bert_folder: Path, tiny_base: Base, small_collection: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    published = tmp_path / "published"
    config = BertConfig(**SETTINGS, vocab_size=tiny_base.config.vocab_size, max_position_embeddings=POSITIONS, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(published)
    AutoTokenizer.from_pretrained(tiny_bert_folder).save_pretrained(published)
    collection = Collection(f"folder:{small_collection}")
    topic = collection.topics("ky")[0]
    documents = list(collection.documents("en"))
    Run("any", {topic.id: tuple((document.id, 9.0 - i) for i, document in enumerate(documents[:5]))}).write(tmp_path / "run.trec")
    words = ["--run", tmp_path / "run.trec", "--lang", "ky", "--collection", f"folder:{small_collection}", "--precision", "fp32"]
    done = run("rerank", *words, "--base", published, "--compose", "none", "--out", tmp_path / "out.trec")
    assert done.exit_code == 0, (done.output, done.exception)
    found = dict(Run.read(tmp_path / "out.trec").rankings[topic.id])
    expected = Ranker(Base(str(published)), "none", precision="fp32").score(
        [(topic.query(), document.full_text) for document in documents[:5]]
    )
    assert len(set(found.values())) == 5
    assert [found[document.id] for document in documents[:5]] == pytest.approx(expected.tolist(), abs=1e-5)


def test_rerank_cuts_to_the_length_asked_for_and_says_how_many(
    tiny_base: Base, small_collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.of("first", {"1": {"d1": 2.0, "d2": 1.0}, "2": {"d3": 1.0}}).write(tmp_path / "first.trec")
    module = make_ranking(tiny_base, 3).save(tmp_path / "rank")
    where = ["--run", run, "--base", tiny_base.name, "--collection", f"folder:{small_collection}", "--lang", "ky"]
    command = ["xlrank", "rerank", *map(str, where), "--compose", str(module), "--precision", "fp32"]
    said: dict[str, str] = {}
    found: dict[str, Run] = {}
    for length in ("12", "60"):
        monkeypatch.setattr(sys, "argv", [*command, "--max-length", length, "--out", str(tmp_path / f"{length}.trec")])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        said[length], found[length] = capsys.readouterr().out, Run.read(tmp_path / f"{length}.trec")
    note = "cross-encoder: 2 of 3 pairs are longer than 12 word pieces and were cut to that"
    assert said["12"].count(f"note: {note}\n") == 1 and "note:" not in said["60"]
    assert found["12"].metadata["notes"] == [note] and found["12"].metadata["max_length"] == 12
    assert found["12"].scores() != found["60"].scores()
