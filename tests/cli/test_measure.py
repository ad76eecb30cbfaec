"""``xlrank evaluate`` as it is typed: judgements from a file, every topic, JSON, and what is said of topics and tests."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xlrank.cli.main import main
from xlrank.runs import Run

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Judgements of four topics, the last without a relevant document; two runs with a foreign topic."""
    monkeypatch.chdir(tmp_path)
    Path("qrels.txt").write_text("1 0 a 1\n1 0 n 0\n2 0 b 1\n3 0 c 2\n4 0 a 0\n")
    Run.of("first", {"1": {"n": 2.0, "a": 1.0}, "2": {"n": 2.0, "b": 1.0}, "3": {"n": 2.0, "c": 1.0}, "C9": {"a": 1.0}}).write(
        "first.trec"
    )
    Run.of("better", {"1": {"a": 1.0}, "2": {"b": 1.0}, "3": {"c": 1.0}}).write("better.trec")
    return tmp_path


@pytest.fixture
def command(files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xlrank", "evaluate", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


TWO = ("--qrels", "qrels.txt", "--run", "first.trec", "--run", "better.trec", "--metric", "map")


def test_judgements_of_a_file(command: Command) -> None:
    code, shown, err = command(*TWO)
    assert (code, err) == (0, "")
    lines = [line.split() for line in shown.splitlines()]
    assert "note: first.trec: topics of the run that are not judged, left out: 1 (C9)" in shown
    assert shown.count("topics without a relevant document, left out: 1 (4)") == 2
    assert ["first.trec", "0.500"] in lines
    assert ["better.trec", "1.000", "+0.500", "n/a", "–", "3/0/0"] in lines, "no variance, no test"
    assert "3 topics; t-test on MAP" in shown


def test_p_is_never_printed_as_nothing(command: Command) -> None:
    judged = {str(topic): {"a": 1} for topic in range(40)}
    Path("many.txt").write_text("".join(f"{topic} 0 a 1\n" for topic in judged))
    Run.of("x", {topic: {f"n{i}": 2.0 for i in range(1 + int(topic) % 3)} | {"a": 1.0} for topic in judged}).write("low.trec")
    Run.of("y", {topic: {"a": 1.0} for topic in judged}).write("high.trec")
    _, shown, _ = command("--qrels", "many.txt", "--run", "low.trec", "--run", "high.trec")
    assert "<0.001" in shown
    (row,) = [line.split() for line in shown.splitlines() if line.strip().startswith("high.trec")]
    assert "0.000" not in row


def test_topics_without_relevant_documents_may_count(command: Command) -> None:
    _, shown, _ = command(*TWO, "--without-relevant", "zero")
    assert "topics without a relevant document, counted 0: 1 (4)" in shown
    assert ["better.trec", "0.750"] in [line.split()[:2] for line in shown.splitlines()]
    assert "4 topics;" in shown


def test_every_topic(command: Command) -> None:
    _, shown, _ = command(*TWO, "--per-topic")
    lines = [line.split() for line in shown.splitlines()]
    assert ["2", "first.trec", "0.500"] in lines and ["2", "better.trec", "1.000"] in lines


def test_json(command: Command) -> None:
    code, shown, err = command(*TWO, "--json", "--per-topic")
    value = json.loads(shown)
    assert code == 0 and "note: first.trec: topics of the run that are not judged, left out: 1 (C9)" in err
    assert value["metrics"] == ["map"] and value["tests"]["baseline"] == "first.trec"
    assert value["treatment"] == {"topics_without_results": "zero", "topics_without_relevant": "skip", "ties": "run"}
    first, better = value["runs"]
    assert (first["run"], first["topics"], first["metrics"], first["comparison"]) == ("first.trec", 3, {"map": 0.5}, None)
    assert better["per_topic"] == {"map": {"1": 1.0, "2": 1.0, "3": 1.0}}
    assert (better["comparison"]["difference"], better["comparison"]["p_value"]) == (0.5, None)
    assert "per_topic" not in json.loads(command(*TWO, "--json")[1])["runs"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--qrels", "qrels.txt", "--collection", "mini", "--run", "first.trec"), "--collection and --qrels: judgements are a"),
        (("--qrels", "none.txt", "--run", "first.trec"), "none.txt: "),
        (("--qrels", "first.trec", "--run", "first.trec"), "first.trec, line 1: 6 columns; expected 4: topic 0 document grade"),
        (("--qrels", "qrels.txt", "--run", "first.trec", "--run", "first.trec"), "--run first.trec: given twice"),
    ],
)
def test_bad_input_gets_one_line(command: Command, words: tuple[str, ...], said: str) -> None:
    code, shown, err = command(*words)
    assert (code, shown) == (2, "")
    assert said in err and len(err.strip().splitlines()) == 1
