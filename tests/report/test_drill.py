"""The drill-down: values by topic, documents that moved, and what is left out where it would be too much."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.report.samples import EVIL, results, with_evidence, written
from xlrank.errors import XlrankError
from xlrank.report import drill
from xlrank.report.board import Board, Source, board_of
from xlrank.report.drill import DrillDown, drill_down, moved
from xlrank.report.reading import read_results


def board(folder: Path) -> Board:
    return board_of([Source(folder, read_results(folder), "small")])


def unpacked(found: DrillDown, name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(zlib.decompress(base64.b64decode(found.pieces[name])))


def test_values_and_moves(tmp_path: Path) -> None:
    found = drill_down(board(with_evidence(tmp_path, results())))
    assert found.documents and found.note == "" and list(found.pieces) == ["pair-0", "pair-1", "pair-2"]
    piece = unpacked(found, "pair-0")
    assert piece["topics"] == [["9", "Талас өрөөнү"], ["10", "Талас өрөөнү"], ["11", "Талас өрөөнү"]]
    assert piece["values"]["2"] == [[430000, 530000, 630000], [900000] * 3]
    names = [document for document, _ in piece["documents"]]
    flat = piece["moves"]["2"][0]
    moves = [(names[flat[i]], *flat[i + 1 : i + 4]) for i in range(0, len(flat), 4)]
    assert moves[:3] == [("d7", 1, 7, 2), ("d1", 2, 1, 0), ("d2", 3, 2, None)]
    assert ("d5", 6, 5, None) in moves  # fell out of the top
    assert piece["lost"]["2"][0] == [2, 1]  # of d7 and "gone", one is in no run
    assert dict(piece["documents"])["d7"] == "A document about 7"
    first_stage = piece["moves"]["0"][0]
    assert first_stage[:4] == [names.index("d1"), 1, 0, 0]  # nothing was re-ordered: no rank before
    assert dict(unpacked(found, "pair-1")["documents"])["d7"] == "سندی درباره 7"


def test_moved_shows_little() -> None:
    after = {f"d{n}": n for n in range(1, 101)}
    before = {f"d{n}": 101 - n for n in range(1, 101)}
    grades = {f"d{n}": 1 for n in range(40, 60)}
    shown = moved(after, before, grades)
    assert [document for document, *_ in shown[:5]] == ["d1", "d2", "d3", "d4", "d5"]
    assert [document for document, *_, grade in shown if grade] == [f"d{n}" for n in range(40, 46)]
    assert len(shown) <= drill.MOST_SHOWN and [rank for _, rank, *_ in shown] == sorted(rank for _, rank, *_ in shown)
    assert moved({}, before, grades) == []


def test_without_files_there_are_values_only(tmp_path: Path) -> None:
    found = drill_down(board(written(tmp_path, results())))
    piece = unpacked(found, "pair-0")
    assert piece["moves"] == {} and len(piece["values"]) == 3 and piece["topics"][0] == ["9", ""]


def test_left_out_on_request_or_for_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = board(with_evidence(tmp_path, results()))
    assert drill_down(found, False).pieces == {}
    monkeypatch.setattr(drill, "MOST_RUN_BYTES", 10)
    values_only = drill_down(found)
    assert not values_only.documents and "--drill-down" in values_only.note and unpacked(values_only, "pair-0")["moves"] == {}
    assert drill_down(found, True).documents
    monkeypatch.setattr(drill, "MOST_BYTES", 10)
    assert drill_down(found).pieces == {} and "too large" in drill_down(found).note
    monkeypatch.setattr(drill, "MOST_VALUES", 10)
    assert drill_down(found, True).metrics == ("map", "recall@100")


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    folder = with_evidence(tmp_path / "results", results())
    run = folder / "runs/mini/ky-en.split.trec"
    run.rename(tmp_path / "elsewhere.trec")
    run.symlink_to(tmp_path / "elsewhere.trec")
    assert "2" not in unpacked(drill_down(board(folder)), "pair-0")["moves"]


def with_matches(folder: Path) -> Path:
    """A folder whose ranker from Kyrgyz, SPLIT, is late; d7 and d1 were looked into for the first topic."""
    found = with_evidence(folder, results())
    lines: list[object] = [{"key": "k"}]
    for document, cosine in (("d7", 0.9126), ("d1", 0.5), ("unseen", 0.4)):
        matches = [["Талас", EVIL, cosine], ["▁", "the", -0.05]]
        lines.append({"topic": "9", "document": document, "matches": matches})
    place = found / "matches" / "mini" / "ky-en.split.jsonl"
    place.parent.mkdir(parents=True)
    place.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return found


def test_word_pieces_that_met(tmp_path: Path) -> None:
    piece = unpacked(drill_down(board(with_matches(tmp_path))), "pair-0")
    names = [document for document, _ in piece["documents"]]
    query, *found = piece["matches"]["2"][0]
    assert query == ["Талас", "▁"] and piece["matches"]["2"][1:] == [0, 0] and list(piece["matches"]) == ["2"]
    d7, d1 = names.index("d7"), names.index("d1")
    assert found == [[d7, [EVIL, "the"], [913, -50]], [d1, [EVIL, "the"], [500, -50]]]
    assert unpacked(drill_down(board(with_evidence(tmp_path / "older", results()))), "pair-0")["matches"] == {}


def test_word_pieces_go_first_where_the_page_grows_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = board(with_matches(tmp_path))
    sizes = [
        sum(map(len, drill._pieces(found, found.metrics, documents=True, matches=matches).values())) for matches in (False, True)
    ]
    assert sizes[0] < sizes[1]
    monkeypatch.setattr(drill, "MOST_BYTES", sizes[1] - 1)
    without = drill_down(found)
    assert without.documents and "word pieces" in without.note and unpacked(without, "pair-0")["matches"] == {}
    assert unpacked(without, "pair-0")["moves"] and unpacked(drill_down(found, True), "pair-0")["matches"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("matches/mini/ky-en.split.jsonl", "ky-en.split.jsonl, line 1: expected an object"),
        ("runs/mini/ky-en.split.trec", "ky-en.split.trec, line 1: 2 columns"),
        ("qrels/mini.en.txt", "mini.en.txt, line 1: 2 columns"),
        ("texts/mini.topics.ky.jsonl", "mini.topics.ky.jsonl, line 1: expected an object"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, file: str, message: str) -> None:
    folder = with_matches(tmp_path)
    (folder / file).write_text("not that\n", encoding="utf-8")
    with pytest.raises(XlrankError, match=message):
        drill_down(board(folder))
