"""Text for masked language modelling: every format read, lines held out truly held out, blocks packed whole."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlrank.bases import Base
from xlrank.errors import XlrankError
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
    path = written(tmp_path / name, "бир\tэки\n\n  үч \r\n\u200d\nнуль\0\nакыркы", pack)
    assert list(read_lines(path)) == ["бир\tэки", "үч", "\u200d", "акыркы"]


@pytest.mark.parametrize(("name", "pack"), [("a.tsv", bytes), ("a.tsv.gz", gzip.compress), ("a.tsv.xz", lzma.compress)])
def test_the_last_column_of_tables(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert list(read_lines(written(tmp_path / name, "1\tx\tбир эки\n2\ty\t\nүч\n", pack))) == ["бир эки", "үч"]


def test_long_lines_are_cut(tmp_path: Path) -> None:
    assert [len(line) for line in read_lines(written(tmp_path / "a.txt", "x" * (MAX_LINE + 5) + "\ny\n"))] == [MAX_LINE, 1]


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


def blocks(base: Base, path: Path, **options: int | float) -> TextBlocks:
    settings = {"length": 16, "max_tokens": 10_000, "seed": 1, "heldout": 0.2} | options
    return text_blocks([path], base.tokenizer, **settings)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("text", ["", "the river", "the river\n" * 500])
def test_too_little_text_is_refused(tiny_base: Base, tmp_path: Path, text: str) -> None:
    with pytest.raises(
        XlrankError, match=r"a\.txt: only \d distinct lines; that is too little text for blocks of 16 word pieces"
    ):
        blocks(tiny_base, written(tmp_path / "a.txt", text))
