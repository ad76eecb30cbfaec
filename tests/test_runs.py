"""Runs as TREC files: what is written is read back exactly, and what is malformed is named by line."""

import gzip
import hashlib
import importlib
import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from xlrank.errors import XlrankError
from xlrank.runs import Run, append_relevant, metadata_path, read_preranking

SCORES = {
    "q1": {"d1": 0.1 + 0.2, "d2": 1e-300, "документ": -1 / 3, "d4": 12345678.87654321},
    "2": {"d9": math.pi, "d10": math.nextafter(math.pi, 4)},
}


def by_topic(rows: Iterable[Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row.query_id, {})[row.doc_id] = row.score
    return found


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_scores_keep_full_precision(tmp_path: Path) -> None:
    run = Run.of("mine", SCORES)
    read = Run.read(run.write(tmp_path / "a.trec"))
    assert read == run
    assert read.scores() == SCORES
    assert [d for d, _ in read.rankings["2"]] == ["d10", "d9"]


def test_lines_have_the_six_columns_of_trec(tmp_path: Path) -> None:
    path = Run.of("my system", {"1": {"b": 0.5, "a": 2.0}}).write(tmp_path / "a.trec")
    assert path.read_text() == "1 Q0 a 1 2.0 mysystem\n1 Q0 b 2 0.5 mysystem\n"


def test_numpy_scores_can_be_read_back(tmp_path: Path) -> None:
    path = Run.of("mine", {"1": {"a": np.float64(0.25)}}).write(tmp_path / "a.trec")
    assert Run.read(path).scores() == {"1": {"a": 0.25}}


def test_equal_scores_are_ordered_by_document_id(tmp_path: Path) -> None:
    path = written(tmp_path / "a.trec", "1 Q0 b 1 0.5 x\n1 Q0 c 2 0.7 x\n1 Q0 a 3 0.5 x\n1 Q0 a10 4 0.5 x\n1 Q0 a9 5 0.5 x\n")
    assert [d for d, _ in Run.read(path).rankings["1"]] == ["c", "a", "a10", "a9", "b"]


def test_metadata_round_trip(tmp_path: Path) -> None:
    metadata: dict[str, Any] = {
        "key": "0123",
        "seconds": 1.25,
        "precision": None,
        "platform.software": "xlrank: 0.1",
        "nested": {"список": [1, "a: b\n"]},
        "odd": "a\u2028b\x85c\x0bd\x1ee\x7f\ufeff",
    }
    run = Run.of("mine", SCORES, metadata)
    path = run.write(tmp_path / "a.trec")
    text = path.read_bytes()
    assert all(len(line.split()) == 6 for line in text.decode().splitlines()), "results and nothing else"
    assert Run.read(path).metadata == metadata
    beside = yaml.safe_load((tmp_path / "a.trec.meta.yaml").read_text(encoding="utf-8"))
    assert beside == {"run_sha256": hashlib.sha256(text).hexdigest(), **metadata}


def test_metadata_of_another_run_do_not_count_and_are_said_once(tmp_path: Path) -> None:
    path = Run.of("mine", SCORES, {"key": "0123"}).write(tmp_path / "a.trec")
    path.write_text("1 Q0 a 1 2.0 theirs\n")
    note = "a.trec.meta.yaml was written for another content of the run, which counts as one without metadata"
    assert Run.read(path) == Run.of("theirs", {"1": {"a": 2.0}}, {"notes": [note]})
    Run.of("mine", {"1": {"a": 1.0}}).write(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.trec"], "metadata of an earlier run are gone"


@pytest.mark.parametrize("text", ["run_sha256:\n", "- x\n", "key: {\n", "\xff", "[" * 5000, "n: " + "1" * 5000])
def test_damaged_metadata_do_no_harm(tmp_path: Path, text: str) -> None:
    path = Run.of("mine", {"1": {"a": 2.0}}, {"key": "0123"}).write(tmp_path / "a.trec")
    metadata_path(path).write_text(text, encoding="latin-1")
    run = Run.read(path)
    (note,) = run.metadata.pop("notes")  # type: ignore[attr-defined]
    assert (
        note.startswith("a.trec.meta.yaml cannot be read, so that the run counts as one without metadata (") and "\n" not in note
    )
    assert run == Run.of("mine", {"1": {"a": 2.0}})


def test_other_tools_read_our_runs(tmp_path: Path) -> None:
    path = Run.of("my\tsystem", SCORES, {"key": "0123", "notes": ["a note"]}).write(tmp_path / "a.trec")
    read = pytest.importorskip("ranx").Run.from_file(str(path), kind="trec")
    assert {topic: dict(found) for topic, found in read.run.items()} == SCORES
    pandas = pytest.importorskip("pandas")
    columns = ["topic", "q0", "document", "rank", "score", "name"]
    frame = pandas.read_csv(path, sep=r"\s+", names=columns, dtype={"topic": str})
    assert {topic: dict(zip(rows["document"], rows["score"], strict=True)) for topic, rows in frame.groupby("topic")} == SCORES
    assert set(frame["name"]) == {"mysystem"}


def test_trec_evals_wrappers_read_our_runs(tmp_path: Path) -> None:
    path = Run.of("mine", SCORES, {"key": "0123"}).write(tmp_path / "a.trec")
    readers = 0
    for name, read in (
        ("pytrec_eval", lambda module: module.parse_run(path.open(encoding="utf-8"))),
        ("ir_measures", lambda module: by_topic(module.read_trec_run(str(path)))),
    ):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        assert read(module) == SCORES
        readers += 1
    if not readers:
        pytest.skip("needs pytrec_eval or ir_measures")


def test_metadata_at_the_head_are_read_as_they_were_written_before(tmp_path: Path) -> None:
    text = '# ir_metadata.key: "0123"\n# ir_metadata.cost: {"seconds": 1.5}\n1 Q0 a 1 2.0 mine\n'
    run = Run.read(written(tmp_path / "a.trec", text))
    assert run == Run.of("mine", {"1": {"a": 2.0}}, {"key": "0123", "cost": {"seconds": 1.5}})
    run.write(tmp_path / "a.trec")
    assert Run.read(tmp_path / "a.trec") == run and (tmp_path / "a.trec").read_text() == "1 Q0 a 1 2.0 mine\n"
    empty = '# ir_metadata.key: "0123"\n# ir_metadata.empty: "none"\n'
    assert Run.read(written(tmp_path / "b.trec", empty)) == Run("none", {}, {"key": "0123"})


def test_foreign_comments_and_metadata_are_kept_or_skipped(tmp_path: Path) -> None:
    path = written(tmp_path / "a.trec", "# ir_metadata.method: plain words\n# anything else\n\n1\tQ0\ta\t1\t2\tx\n")
    run = Run.read(path)
    assert run.metadata == {"method": "plain words"}
    assert run.rankings == {"1": (("a", 2.0),)}
    assert run.name == "x"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 Q0 b 2 0.5", "5 columns; expected 6"),
        ("1 Q0 b 2 0.5 x y", "7 columns; expected 6"),
        ("1 Q0 b 2 half x", "the score 'half' is not a finite number"),
        ("1 Q0 b 2 nan x", "the score 'nan' is not a finite number"),
        ("1 Q0 b 2 inf x", "the score 'inf' is not a finite number"),
        ("1 Q0 a 2 0.5 x", "document 'a' stands twice in topic '1'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = written(tmp_path / "a.trec", f"# comment\n1 Q0 a 1 1 x\n\n{line}\n1 Q0 z 9 0 x\n")
    with pytest.raises(XlrankError) as caught:
        Run.read(path)
    assert str(caught.value).startswith(f"{path}, line 4: {problem}")
    assert "\n" not in str(caught.value)


def test_the_same_document_may_stand_in_two_topics(tmp_path: Path) -> None:
    assert len(Run.read(written(tmp_path / "a.trec", "1 Q0 a 1 1 x\n2 Q0 a 1 1 x\n")).rankings) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "# ir_metadata.key: 1\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(XlrankError, match=r"a\.trec: holds no results"):
        Run.read(written(tmp_path / "a.trec", text))


def test_a_run_that_found_nothing_comes_back(tmp_path: Path) -> None:
    for run in (Run("none", {}, {"key": "1"}), Run("none", {"1": ()}, {"key": "1"})):
        read = Run.read(run.write(tmp_path / "a.trec"))
        assert read == Run("none", {}, {"key": "1"})


def test_a_missing_file_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"none\.trec: cannot be read \(No such file"):
        Run.read(tmp_path / "none.trec")
    (tmp_path / "b.trec").write_bytes(b"1 Q0 \xff 1 1 x\n")
    with pytest.raises(XlrankError, match="not UTF-8"):
        Run.read(tmp_path / "b.trec")


def test_top_pairs_and_scores() -> None:
    run = Run.of("mine", {"2": {"a": 1.0, "b": 2.0, "c": 3.0}, "1": {"a": 1.0}}, {"k": 1})
    assert list(run.top(2).pairs()) == [("2", "c"), ("2", "b"), ("1", "a")]
    assert run.top(2).metadata == {"k": 1}
    assert len(list(run.pairs())) == 4
    assert run.scores() == {"2": {"c": 3.0, "b": 2.0, "a": 1.0}, "1": {"a": 1.0}}


def test_a_failed_write_leaves_the_old_run(tmp_path: Path) -> None:
    path = Run.of("mine", {"1": {"a": 1.0}}).write(tmp_path / "a.trec")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        Run.of("mine", {"1": {"b": 1.0}}, {"bad": object()}).write(path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_interrupted_write_leaves_no_run_with_metadata_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Run.of("mine", {"1": {"a": 1.0}}, {"key": "old"}).write(tmp_path / "a.trec")
    replace, allowed = Path.replace, 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal allowed
        if not allowed:
            raise KeyboardInterrupt
        allowed -= 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    found = []
    for allowed in (0, 1, 2):
        with suppress(KeyboardInterrupt):
            Run.of("mine", {"1": {"a": 2.0}}, {"key": "new"}).write(path)
        run = Run.read(path)
        found.append((run.scores()["1"]["a"], run.metadata.get("key")))
    assert found == [(1.0, "old"), (2.0, None), (2.0, "new")]
    assert len(list(tmp_path.iterdir())) == 2


def test_packed_runs_are_read_and_written(tmp_path: Path) -> None:
    run = Run.of("mine", SCORES, {"k": 1})
    path = run.write(tmp_path / "a.trec.gz")
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert Run.read(path) == run
    assert Run.read(run.write(tmp_path / "a.trec.xz")) == run
    (tmp_path / "c.trec").write_bytes(gzip.decompress(path.read_bytes()))
    metadata_path(path).rename(tmp_path / "c.trec.meta.yaml")
    assert Run.read(tmp_path / "c.trec") == run, "unpacked, a run keeps its metadata"
    run.write(path)
    assert run.write(tmp_path / "b.trec.gz").read_bytes() == path.read_bytes(), "no time of day in the file"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(XlrankError, match=r"a\.trec\.gz: cannot be read"):
        Run.read(path)
    (tmp_path / "c.gz").write_text("1 Q0 a 1 1 x\n")
    with pytest.raises(XlrankError, match=r"c\.gz: cannot be read"):
        Run.read(tmp_path / "c.gz")


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.trec.gz"
    path.write_bytes(gzip.compress(b"1 Q0 a 1 1 x\n" + bytes(3 * 2**20)))
    with pytest.raises(XlrankError, match=r"a\.trec\.gz, line 2: longer than 1 MiB"):
        Run.read(path)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.trec").write_bytes(b"\xef\xbb\xbf1 Q0 a 1 2.5 x\r\n1 Q0 b 2 1 x\r\n")
    assert Run.read(tmp_path / "a.trec") == Run.of("x", {"1": {"a": 2.5, "b": 1.0}})


def test_scores_count_and_a_note_tells_where_ranks_say_otherwise(tmp_path: Path) -> None:
    """Topic 1 is ranked upside down; 2 has a tie in another order; 3 has ranks that say nothing; 4 is as it should be."""
    lines = ["1 Q0 a 1 0.1 x", "1 Q0 b 2 0.2 x", "2 Q0 d 1 1 x", "2 Q0 c 2 1 x", "2 Q0 e 3 0 x"]
    lines += ["3 Q0 a 0 1 x", "3 Q0 b 0 2 x", "4 Q0 b 2 1 x", "4 Q0 a 1 2 x", "5 Q0 a first 1 x", "5 Q0 b 9 2 x"]
    run = Run.read(written(tmp_path / "a.trec", "\n".join([*lines, f"6 Q0 a {'9' * 5000} 1 x", ""])))
    assert [d for d, _ in run.rankings["1"]] == ["b", "a"]
    assert [d for d, _ in run.rankings["2"]] == ["c", "d", "e"]
    contrary, equal = run.metadata["notes"]
    assert contrary.startswith("topics whose ranks contradict their scores: 1; scores counted")
    assert equal == "topics whose equal scores were put in the order of document ids, not of ranks: 1"
    again = Run.read(run.write(tmp_path / "b.trec"))
    assert again == run, "notes stay, and nothing is odd any more"


def test_only_the_topics_of_a_collection(tmp_path: Path) -> None:
    run = Run.of("theirs", {"1": {"a": 1.0}, "2": {"a": 1.0}, "99": {"a": 1.0}}, {"notes": "foreign"})
    kept = run.only(["2", "1", "7"])
    assert list(kept.rankings) == ["1", "2"]
    assert kept.metadata["notes"] == ["foreign", "topics that are not in the collection, left out: 1 (99)"]
    assert run.only(["1", "2", "99"]) == run
    problem = "'theirs' has no results for any topic asked for: its topics are 1, 2, 99, those asked for C141, C142; was it made"
    with pytest.raises(XlrankError, match=problem):
        run.only(["C141", "C142"])


def test_a_run_is_printed_in_one_short_line() -> None:
    run = Run.of("mine", SCORES, {"notes": ["a note"] * 100})
    assert repr(run) == str(run) == "Run('mine', 2 topics, 6 results)"


def test_metadata_that_are_no_json_do_no_harm(tmp_path: Path) -> None:
    deep = "[" * 100_000
    run = Run.read(written(tmp_path / "a.trec", f"# ir_metadata.deep: {deep}\n# ir_metadata.n: {'1' * 5000}\n1 Q0 a 1 1 x\n"))
    assert run.metadata["deep"] == deep


def prerankings(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        written(folder / f"{name.lstrip('_')}.tsv", text)
    return folder


def test_a_preranking_is_a_run(tmp_path: Path) -> None:
    """With scores; without; with a tie and an appended document against the scores; empty."""
    files = {"_141": "b\t2.5\na\t1\n", "_142": "z\ny\nx\n", "_143": "b\t1\na\t1\nc\n", "_144": ""}
    folder = prerankings(tmp_path / "en-de", **files)
    written(folder / "README.md", "not a ranking")
    run = Run.read(folder)
    assert run.name == "en-de"
    assert run.rankings == {
        "141": (("b", 2.5), ("a", 1.0)),
        "142": (("z", -1.0), ("y", -2.0), ("x", -3.0)),
        "143": (("b", -1.0), ("a", -2.0), ("c", -3.0)),
        "144": (),
    }
    assert run.metadata["notes"] == ["topics whose scores did not give the order of the lines, and were replaced by ranks: 1"]
    assert read_preranking(folder, depth=1).rankings["141"] == (("b", 2.5),)
    assert Run.read(run.write(tmp_path / "a.trec")).rankings == {t: r for t, r in run.rankings.items() if r}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\t1\n\nb\tnan\n", "line 3: the score 'nan' is not a finite number"),
        ("a\na\n", "line 2: document 'a' stands twice"),
        ("a\t1\tx\n", "line 1: 3 columns; expected one or two"),
    ],
)
def test_a_malformed_preranking_is_named(tmp_path: Path, text: str, problem: str) -> None:
    folder = prerankings(tmp_path / "p", _1=text)
    with pytest.raises(XlrankError) as caught:
        read_preranking(folder)
    assert str(caught.value).startswith(f"{folder / '1.tsv'}, {problem}")


def test_a_folder_without_prerankings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"holds no file TOPIC\.tsv"):
        Run.read(tmp_path)
    with pytest.raises(XlrankError, match="cannot be read"):
        read_preranking(tmp_path / "none")
    for name in ("1 2.tsv", ".tsv"):
        written(tmp_path / name, "a\n")
        with pytest.raises(XlrankError, match="is named by no id of a topic of its own"):
            Run.read(tmp_path)
        (tmp_path / name).unlink()
    written(tmp_path / "1.tsv", "a\n")
    (tmp_path / "1.tsv.gz").write_bytes(gzip.compress(b"b\n"))
    with pytest.raises(XlrankError, match=r"1\.tsv\.gz: is named by no id of a topic of its own"):
        Run.read(tmp_path)


def test_the_originals_leak_is_labelled() -> None:
    run = Run.of("bm25", {"1": {"a": 3.0, "b": 2.0}, "2": {}, "3": {"a": 1e17}}, {"k": 1})
    qrels = {"1": {"b": 1, "z": 2, "y": 1, "n": 0}, "2": {"c": 1}, "3": {"q": 1, "p": 1}, "9": {"a": 1}}
    leaking = append_relevant(run, qrels)
    assert {topic: [d for d, _ in ranking] for topic, ranking in leaking.rankings.items()} == {
        "1": ["a", "b", "y", "z"],
        "2": ["c"],
        "3": ["a", "p", "q"],
    }
    assert leaking == Run.of(leaking.name, leaking.scores(), leaking.metadata), "all scores differ"
    assert leaking.name == "bm25+relevant"
    assert leaking.metadata["oracle"].endswith("appended out of the judgements: 5")
    assert leaking.metadata["k"] == 1
    assert len(run.rankings["1"]) == 2 and "oracle" not in run.metadata
