"""Text for masked language modelling: every format read, lines held out truly held out, blocks packed whole."""

import gzip
import hashlib
import lzma
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.training.reading import CHUNK, Reading
from xlrank.training.text import MAX_LINE, TextBlocks, read_lines, text_blocks

LINES = [f"the river {a}{b} and the bridge {b}{a}" for a in "abcdefghij" for b in "klmnopqrst"]


def written(path: Path, content: str | bytes, pack: Callable[[bytes], bytes] = bytes) -> Path:
    path.write_bytes(pack(content.encode() if isinstance(content, str) else content))
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.txt", bytes), ("a.txt.gz", gzip.compress), ("a.txt.xz", lzma.compress), ("a", bytes), ("ky.2024.txt", bytes)],
)
def test_plain_and_packed_text(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path / name, "бир\tэки\n\n  үч \r\n\u200d\nи\u0306од\nнуль\0\nакыркы", pack)
    assert list(read_lines(path)) == ["бир эки", "үч", "йод", "акыркы"]


@pytest.mark.parametrize(("name", "pack"), [("a.tsv", bytes), ("a.tsv.gz", gzip.compress), ("a.tsv.xz", lzma.compress)])
def test_the_last_column_of_tables(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert list(read_lines(written(tmp_path / name, "1\tx\tбир эки\n2\ty\t\nүч\n", pack))) == ["бир эки", "үч"]


def test_long_lines_are_cut_into_pieces(tmp_path: Path) -> None:
    """None of the text is lost, and words stay whole where there are any."""
    unbroken = "x" * (2 * MAX_LINE + 5)
    words = " ".join(f"сөз{i}" for i in range(40_000))
    facts = Reading()
    pieces = list(read_lines(written(tmp_path / "a.txt", f"{unbroken}\n{words}\ny\n"), facts))
    assert [len(piece) for piece in pieces[:3]] == [MAX_LINE, MAX_LINE, 5]
    assert " ".join(pieces[3:-1]) == words
    assert max(map(len, pieces)) <= MAX_LINE
    assert pieces[-1] == "y"
    assert (facts.cut, facts.lines) == (2, len(pieces))


def test_an_enormous_line_is_never_held_whole(tmp_path: Path) -> None:
    size = 60 * 6 * 160_000
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(60):
            stream.write(b"water " * 160_000)
    tracemalloc.start()
    length = sum(len(line) + 1 for line in read_lines(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == pytest.approx(size, abs=6)
    assert peak < 2_000_000


def test_a_multibyte_letter_between_two_chunks_is_whole(tmp_path: Path) -> None:
    for shift in (0, 1):
        path = written(tmp_path / "a.txt", "a" * shift + "ө" * CHUNK)
        assert "".join(read_lines(path)) == "a" * shift + "ө" * CHUNK


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no text"),
        (b"\n \n\t\n", "holds no text"),
        (b"\xef\xbb\xbf\n", "holds no text"),
        ("көпүрө\n".encode("utf-16"), "line 1 is not UTF-8 text but UTF-16"),
        ("көпүрө\n".encode("utf-16-le") * 9, "is a binary file"),
        (bytes(range(256)) * 9, "is a binary file"),
        (b"PK\x03\x04" + bytes(100), "is a binary file"),
        (b"\x1f\x8b\x08" + bytes(range(1, 200)), "is a binary file"),
        ("дарыя\nкөпүрө\n".encode()[:-2], "line 2 is not UTF-8 text"),
        ("дарыя\n".encode("cp1251"), "line 1 is not UTF-8 text"),
        (b"fine\n" + b"x" * 70_000 + b"\xff\n", "line 2 is not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = written(tmp_path / "a.txt", content)
    with pytest.raises(XlrankError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_file_without_text_among_others_is_refused(tiny_base: Base, tmp_path: Path) -> None:
    paths = [written(tmp_path / "a.txt", "\n".join(LINES)), written(tmp_path / "b.txt", "\n")]
    with pytest.raises(XlrankError, match=r"b\.txt: holds no text"):
        text_blocks(paths, tiny_base.tokenizer, length=16, max_tokens=100, seed=1)


@pytest.mark.parametrize(("name", "opener"), [("a.gz", gzip.open), ("a.xz", lzma.open)])
def test_a_truncated_archive_says_how_far_it_could_be_read(tmp_path: Path, name: str, opener: Callable[..., Any]) -> None:
    with opener(tmp_path / name, "wb") as stream:
        for i in range(20_000):
            stream.write(hashlib.sha256(b"%d" % i).hexdigest().encode() + b"\n")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(XlrankError) as caught:
        list(read_lines(tmp_path / name))
    found = re.search(r"cannot be read \(.*\) after line (\d+); is the file cut off\?$", str(caught.value))
    assert found
    assert 1000 < int(found[1]) < 20_000


@pytest.mark.parametrize("before", [0, 2, 3000])
def test_bytes_that_are_no_utf8_are_named_by_line(tmp_path: Path, before: int) -> None:
    path = written(tmp_path / "a.txt", b"fine\n" * before + b"caf\xe9\nfine\n")
    with pytest.raises(XlrankError, match=rf"a\.txt: line {before + 1} is not UTF-8"):
        list(read_lines(path))


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.xz", lzma.compress)])
@pytest.mark.parametrize("damage", ["cut", "altered", "plain"])
def test_damaged_archives_are_one_line(tmp_path: Path, name: str, pack: Callable[[bytes], bytes], damage: str) -> None:
    content = bytearray(pack("\n".join(LINES).encode()))
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "altered":
        content[20:30] = bytes(10)
    else:
        content = bytearray(b"no archive at all")
    with pytest.raises(XlrankError, match=rf"{name}: cannot be read \("):
        list(read_lines(written(tmp_path / name, bytes(content))))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    for name in ("none.txt", "none.xz", "none.tsv.gz"):
        with pytest.raises(XlrankError, match=rf"{name}: cannot be read \("):
            list(read_lines(tmp_path / name))


def blocks(base: Base, path: Path, **options: Any) -> TextBlocks:  # noqa: ANN401 - text_blocks' own
    settings = {"length": 16, "max_tokens": 10_000, "seed": 1, "heldout": 0.2} | options
    return text_blocks([path], base.tokenizer, **settings)


def joined(pieces: Any) -> str:  # noqa: ANN401 - a list or an array
    return "".join(f" {int(piece)} " for piece in pieces)


def test_blocks_have_special_tokens_at_both_ends_and_none_within(tiny_base: Base, tmp_path: Path) -> None:
    made = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(LINES)))
    for part in (made.train, made.heldout):
        assert part.shape[1] == 16
        assert (part[:, 0] == 2).all()
        assert (part[:, -1] == 3).all()
        assert not np.isin(part[:, 1:-1], [0, 2, 3, 4]).any()
    assert set(made.support()) == set(made.train.ravel()) | set(made.heldout.ravel())
    assert (np.diff(made.support()) > 0).all()


def test_the_pieces_are_the_texts_and_held_out_lines_are_not_trained_on(tiny_base: Base, tmp_path: Path) -> None:
    made = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(LINES)))
    encoded = [joined(tiny_base.tokenizer(line, add_special_tokens=False)["input_ids"]) for line in LINES]
    trained, heldout = (
        {line for line in encoded if line in joined(part[:, 1:-1].ravel())} for part in (made.train, made.heldout)
    )
    assert len(trained) >= 78  # of 80; the last two may be cut off where the last block ends
    assert len(heldout) >= 18
    assert not trained & heldout
    assert sum(map(len, trained)) >= len(joined(made.train[:, 1:-1].ravel())) - 100


def test_repeated_lines_count_once(tiny_base: Base, tmp_path: Path) -> None:
    once = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(LINES)))
    twice = blocks(tiny_base, written(tmp_path / "b.txt", "\n".join([*LINES, *LINES])))
    assert np.array_equal(once.train, twice.train)
    assert np.array_equal(once.heldout, twice.heldout)


def test_the_seed_decides_the_order(tiny_base: Base, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "\n".join(LINES))
    assert np.array_equal(blocks(tiny_base, path).train, blocks(tiny_base, path).train)
    assert not np.array_equal(blocks(tiny_base, path).train, blocks(tiny_base, path, seed=2).train)


def test_the_budget_is_kept(tiny_base: Base, tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "\n".join(LINES))
    assert blocks(tiny_base, path, max_tokens=140).train.shape == (10, 16)
    assert blocks(tiny_base, path, max_tokens=153).train.shape == (10, 16)


@pytest.mark.parametrize("text", ["the river", "the river\n" * 500])
def test_too_little_text_is_refused(tiny_base: Base, tmp_path: Path, text: str) -> None:
    with pytest.raises(
        XlrankError, match=r"a\.txt: only \d distinct lines; that is too little text for blocks of 16 word pieces"
    ):
        blocks(tiny_base, written(tmp_path / "a.txt", text))


def test_the_facts(tiny_base: Base, tmp_path: Path) -> None:
    made = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join([*LINES, *LINES[:30], "нуль\0", "", "y" * (MAX_LINE + 9)])))
    facts = made.facts
    assert (facts.lines, facts.distinct, facts.duplicates) == (132, 102, 30)
    assert (facts.dropped, facts.cut, facts.sampled) == (1, 1, False)
    assert facts.pieces == (made.train.shape[0] + made.heldout.shape[0]) * 14
    assert (facts.script, facts.share) == (None, None)
    assert made.vocabulary == len(tiny_base.tokenizer)


@pytest.mark.parametrize(
    ("text", "language", "warned"),
    [("latin", "ky", True), ("latin", "tr", False), ("mixed", "ky", False), ("latin", "ug", True), ("latin", "zh", True)],
)
def test_a_text_in_the_wrong_script_is_warned_of(
    tiny_base: Base, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, language: str, warned: bool
) -> None:
    lines = LINES if text == "latin" else [f"дарыя жана көпүрө {line[:12]}{i}" for i, line in enumerate(LINES)]
    facts = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(lines)), language=language).facts
    assert facts.share is not None
    assert ("is this text" in caplog.text) == warned
    if warned:
        assert facts.share == 0
        assert f"a.txt: only 0 % of the letters are {facts.script}" in caplog.text


def test_more_text_than_is_wanted_is_sampled_in_little_memory(tiny_base: Base, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("w", encoding="utf-8") as stream:
        for i in range(60_000):
            stream.write(f"river number {i % 30_000} and the bridge\n")
    tracemalloc.start()
    facts = blocks(tiny_base, path, max_tokens=1000).facts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert facts.sampled
    assert facts.lines == 60_000
    assert facts.distinct == pytest.approx(30_000, rel=0.25)
    assert peak < 2_000_000


def test_the_sample_does_not_depend_on_the_order_of_the_lines(tiny_base: Base, tmp_path: Path) -> None:
    lines = [f"{line} {i}" for i in range(40) for line in LINES]
    one = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(lines)), max_tokens=300)
    two = blocks(tiny_base, written(tmp_path / "b.txt", "\n".join(reversed(lines))), max_tokens=300)
    assert one.facts.sampled
    assert np.array_equal(one.train[:, 1:5], two.train[:, 1:5])


def test_extra_negatives(tiny_base: Base, tmp_path: Path) -> None:
    made = blocks(tiny_base, written(tmp_path / "a.txt", "\n".join(LINES)))
    present, more = made.support(), made.support(10, seed=3)
    assert len(more) == len(present) + 10
    assert set(present) < set(more)
    assert (np.diff(more) > 0).all()
    assert more.max() < len(tiny_base.tokenizer)
    assert np.array_equal(more, made.support(10, seed=3))
    assert not np.array_equal(more, made.support(10, seed=4))
    assert made.support(10**6).tolist() == list(range(len(tiny_base.tokenizer)))
    assert made.support(10**6, vocabulary=10**4).tolist() == list(range(10**4))
    with pytest.raises(XlrankError, match="-1 extra negatives"):
        made.support(-1)


def test_blocks_of_several_texts_are_joined(tiny_base: Base, tmp_path: Path) -> None:
    parts = [blocks(tiny_base, written(tmp_path / f"{i}.txt", "\n".join(LINES[i:]))) for i in range(2)]
    joined = TextBlocks.joined(parts)
    assert len(joined.train) == len(parts[0].train) + len(parts[1].train)
    assert len(joined.heldout) == len(parts[0].heldout) + len(parts[1].heldout)
    assert joined.facts.lines == 199
    assert joined.support(5).tolist() == sorted(joined.support(5).tolist())
