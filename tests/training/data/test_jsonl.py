"""JSON lines of groups, triples and pairs: told apart, cleaned, joined, and refused with file and line."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.training.data import Example, read_examples, read_groups
from xlrank.training.data.records import Targets, query_key

GROUP = {"query": "q", "positive": "p", "negatives": ["n", "m"]}
TRIPLE = {"query": "t", "positive": "p", "negative": "n"}
PAIR = {"query": "q", "document": "d", "label": 1}
PAPERS = {"qid": 7, "query": "w", "pid": 9, "passage": "d", "label": 0}


def lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_layouts_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [GROUP, "", {**TRIPLE, "query": " a\u200f\nb "}, {**PAIR, "more": 1}, PAPERS])
    assert list(read_examples(path)) == [
        Example("q", ("p", "n", "m"), (1, 0, 0)),
        Example("a b", ("p", "n"), (1, 0)),
        Example("q", ("d",), (1,)),
        Example("w", ("d",), (0,)),
    ]


def test_queries_that_differ_in_typing_only_are_one() -> None:
    assert query_key(" Ha\u0308rka\u0308\u200d  joki") == query_key("härkä joki") != query_key("harka joki")


def test_pairs_of_a_query_that_follow_each_other_make_a_group(tmp_path: Path) -> None:
    rows = [PAIR, {**PAIR, "document": "e", "label": 0}, GROUP, {**PAIR, "document": "f", "label": 0}, PAPERS]
    path = lines(tmp_path / "a.jsonl", rows)
    assert [(e.documents, e.targets) for e in read_examples(path)] == [
        (("d", "e"), (1, 0)),
        (("p", "n", "m"), (1, 0, 0)),
        (("f",), (0,)),
        (("d",), (0,)),
    ]
    assert [len(e.documents) for e in read_examples(path, grouped=False)] == [1, 1, 3, 1, 1]


def test_a_positive_may_stand_alone_where_the_caller_says_so(tmp_path: Path) -> None:
    rows = [GROUP, {"query": "r", "positive": "p"}, {"query": "r", "positive": "o"}, {**GROUP, "query": "s", "negatives": []}]
    found = list(read_examples(lines(tmp_path / "a.jsonl", rows), alone=True))
    assert found[1:] == [Example("r", ("p", "o"), (1, 1)), Example("s", ("p",), (1,))]
    with pytest.raises(XlrankError, match="line 2: expected an object .*; a positive without negatives serves late interaction"):
        list(read_examples(tmp_path / "a.jsonl"))


def test_scores_of_a_teacher(tmp_path: Path) -> None:
    rows = [{**GROUP, "scores": [3, -1.5, 0]}, {**TRIPLE, "scores": [1, 2]}, {"query": "q", "passage": "d", "score": 0.25}]
    path = lines(tmp_path / "a.jsonl", rows)
    assert [e.targets for e in read_examples(path, targets="scores")] == [(3, -1.5, 0), (1, 2), (0.25,)]
    assert [e.targets for e in read_examples(lines(tmp_path / "b.jsonl", rows[:2]))] == [(1, 0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"query": "q", "document": "d", "label": ' + "1" * 5000 + "}", "not JSON"),
        ([1], "expected an object"),
        ("3", "expected an object"),
        ({"query": "q", "positive": "p"}, "expected an object"),
        ({"positive": "p", "negatives": ["n"]}, "expected an object"),
        ({"query": "q", "negatives": ["n"]}, "expected an object"),
        ({"query": "q", "document": "d"}, "expected an object"),
        ({"query": "q", "label": 1}, "expected an object"),
        ({**GROUP, "negatives": 3}, "expected an object"),
        ({**GROUP, "negatives": "nm"}, "expected an object"),
        ({**GROUP, "negatives": []}, "a text is missing or empty"),
        ({**GROUP, "query": " "}, "a text is missing or empty"),
        ({**GROUP, "positive": None}, "a text is missing or empty"),
        ({**GROUP, "negatives": ["n", ""]}, "a text is missing or empty"),
        ({**TRIPLE, "negative": 5}, "a text is missing or empty"),
        ({**PAIR, "document": "\u200e"}, "a text is missing or empty"),
        ({**PAIR, "label": 2}, "the label 2 is neither 0 nor 1"),
        ({**PAIR, "label": 0.5}, "the label 0.5 is neither 0 nor 1"),
        ({**PAIR, "label": "1"}, "the label '1' is neither 0 nor 1"),
        ({**PAIR, "label": None}, "the label None is neither 0 nor 1"),
    ],
    ids=str,
)
def test_a_malformed_line_is_named(tmp_path: Path, row: object, problem: str) -> None:
    path = lines(tmp_path / "g.jsonl", [GROUP, row])
    for read in (read_examples, read_groups):
        with pytest.raises(XlrankError) as caught:
            list(read(path))
        assert str(caught.value).startswith(f"{path}, line 2: {problem}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (GROUP, "expected a teacher's scores"),
        (PAIR, "expected a teacher's scores"),
        ({**GROUP, "scores": [1, 2]}, "2 scores for 3 documents"),
        ({**GROUP, "scores": 3}, "expected a teacher's scores"),
        ({**GROUP, "scores": [1, 2, None]}, "the score None is not a finite number"),
        ({**GROUP, "scores": [1, 2, True]}, "the score True is not a finite number"),
        ({**GROUP, "scores": [1, 2, "3"]}, "the score 3 is not a finite number"),
        ('{"query": "q", "positive": "p", "negative": "n", "scores": [1, NaN]}', "the score nan is not a finite number"),
        ('{"query": "q", "document": "d", "score": 1e999}', "the score inf is not a finite number"),
        ('{"query": "q", "document": "d", "score": 1' + "0" * 400 + "}", "the score 1"),
    ],
    ids=str,
)
def test_scores_that_are_none_are_named(tmp_path: Path, row: object, problem: str) -> None:
    path = lines(tmp_path / "g.jsonl", [{**GROUP, "scores": [1, 2, 3]}, row])
    with pytest.raises(XlrankError) as caught:
        list(read_examples(path, targets="scores"))
    assert str(caught.value).startswith(f"{path}, line 2: {problem}")


def test_reading_stops_at_the_first_bad_line_and_not_before(tmp_path: Path) -> None:
    reading = read_examples(lines(tmp_path / "g.jsonl", [GROUP, TRIPLE, "{"]))
    assert [next(reading).query, next(reading).query] == ["q", "t"]
    with pytest.raises(XlrankError, match="line 3"):
        next(reading)


@pytest.mark.parametrize("targets", ["labels", "scores"])
def test_an_empty_file_is_refused(tmp_path: Path, targets: Targets) -> None:
    with pytest.raises(XlrankError, match=r"g\.jsonl: holds no training examples"):
        list(read_examples(lines(tmp_path / "g.jsonl", [""]), targets=targets))


def test_bytes_that_are_no_text_a_missing_and_a_damaged_file(tmp_path: Path) -> None:
    row = json.dumps(GROUP).encode() + b"\n"
    (tmp_path / "latin.jsonl").write_bytes(row * 3 + b'{"query": "caf\xe9"}\n')
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(row * 500)[:-20])
    (tmp_path / "no.jsonl.gz").write_bytes(row)
    for name, problem in {
        "latin.jsonl": r"latin\.jsonl, line 4: not UTF-8",
        "none.jsonl": r"none\.jsonl: no such file",
        "cut.jsonl.gz": r"cut\.jsonl\.gz(, after line \d+)?: cannot be read \(",
        "no.jsonl.gz": r"no\.jsonl\.gz: cannot be read \(",
    }.items():
        with pytest.raises(XlrankError, match=problem):
            list(read_examples(tmp_path / name))


def test_packed_files_and_byte_order_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(GROUP).encode()))
    assert [e.query for e in read_examples(path)] == ["q"]


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.collections.lines.LONGEST_LINE", 1000)
    with pytest.raises(XlrankError, match="line 2: longer than"):
        list(read_examples(lines(tmp_path / "a.jsonl", [GROUP, "x" * 1001])))


def test_groups_are_read_at_once(tmp_path: Path) -> None:
    path = lines(tmp_path / "g.jsonl", [GROUP, {**TRIPLE, "query": " a\u200f\nb "}])
    assert read_groups(path) == [Example("q", ("p", "n", "m"), (1, 0, 0)), Example("a b", ("p", "n"), (1, 0))]
    with pytest.raises(XlrankError, match="line 2: no group"):
        read_groups(lines(tmp_path / "p.jsonl", [GROUP, PAIR]))
