"""Token vectors on disk: made once, in shards, by one of several processes, and never those of other modules."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from xlrank.errors import XlrankError
from xlrank.ranking import store as room
from xlrank.ranking.interaction import Storage
from xlrank.ranking.store import TokenStore
from xlrank.ranking.vectors import TokenVectors, starts_of

FACTS = {"documents": "abc", "modules": "ky+rank", "storage": "float16"}
IDS = [f"d{number}" for number in range(11)]
DIM, HIDDEN = 8, 6
Vectorise = Callable[[Sequence[str]], Iterator[tuple[list[int], TokenVectors]]]


def vectors_of(ids: Sequence[str]) -> TokenVectors:
    """Vectors that depend on the ids alone; d4 has no content."""
    parts = []
    for id_ in ids:
        number = int(id_[1:])
        generator = torch.Generator().manual_seed(number)
        length = 0 if number == 4 else 2 + number % 3
        vectors = normalize(torch.randn(length, DIM, generator=generator), dim=-1)
        pooled = normalize(torch.randn(1, HIDDEN, generator=generator), dim=-1)
        parts.append(TokenVectors(vectors, starts_of(np.array([length])), pooled))
    return TokenVectors.joined(parts)


class Encoder:
    """Makes vectors in batches of two in an order of its own, and knows what it was asked."""

    def __init__(self, after: int | None = None) -> None:
        self.asked: list[str] = []
        self.left = after

    def __call__(self, ids: Sequence[str]) -> Iterator[tuple[list[int], TokenVectors]]:
        order = list(reversed(range(len(ids))))
        for start in range(0, len(order), 2):
            if self.left is not None:
                if self.left <= 0:
                    raise KeyboardInterrupt
                self.left -= 1
            rows = order[start : start + 2]
            self.asked += [ids[row] for row in rows]
            yield rows, vectors_of([ids[row] for row in rows])


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "SHARD", 4)


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("shard-*"))


def assert_holds(store: TokenStore, ids: Sequence[str], error: float = 1e-3) -> None:
    found, expected = store.read(ids), vectors_of(ids)
    assert found.lengths.tolist() == expected.lengths.tolist()
    vectors = found.vectors.float() if found.scales is None else found.vectors.float() * found.scales[:, None]
    torch.testing.assert_close(vectors, expected.vectors, atol=error, rtol=0)
    torch.testing.assert_close(found.pooled.float(), expected.pooled, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("storage", "error"), [("float16", 1e-3), ("int8", 0.01)])
def test_what_was_added_is_there(storage: Storage, error: float, tmp_path: Path) -> None:
    facts = {**FACTS, "storage": storage}
    store, encoder = TokenStore(tmp_path / "s", facts), Encoder()
    store.add(IDS, encoder)
    assert sorted(encoder.asked) == sorted(IDS)
    assert shards(tmp_path / "s") == ["shard-00000000", "shard-00000001", "shard-00000002"]
    for each in (store, TokenStore(tmp_path / "s", facts)):
        assert len(each) == 11
        assert_holds(each, IDS, error)
        assert_holds(each, ["d7", "d0", "d7", "d4"], error)
        assert sorted(id_ for shard in each.shards() for id_ in shard.ids) == sorted(IDS)
        for shard in each.shards():
            assert shard.stored.lengths.tolist() == vectors_of(shard.ids).lengths.tolist()


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    store, encoder = TokenStore(tmp_path / "s", FACTS), Encoder()
    store.add(["d3", "d1", "d3"], encoder)
    assert sorted(encoder.asked) == ["d1", "d3"]
    assert store.missing(IDS) == [id_ for id_ in IDS if id_ not in ("d1", "d3")]
    encoder.asked.clear()
    store.add(["d1", "d2", "d3", "d4"], encoder)
    assert sorted(encoder.asked) == ["d2", "d4"]
    encoder.asked.clear()
    store.add(["d4", "d1"], encoder)
    TokenStore(tmp_path / "s", FACTS).add(["d2"], encoder)
    assert encoder.asked == []
    assert_holds(store, ["d4", "d1", "d2", "d3"])


def test_documents_that_were_never_added_are_refused(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "s", FACTS)
    store.add(["d1"], Encoder())
    with pytest.raises(XlrankError, match=r"s: holds no vectors of document 'd2'; add it first$"):
        store.read(["d1", "d2"])


@pytest.mark.parametrize("storage", get_args(Storage))
def test_documents_without_any_content(storage: Storage, tmp_path: Path) -> None:
    facts = {**FACTS, "storage": storage}
    TokenStore(tmp_path / "s", facts).add(["d4"], Encoder())
    store = TokenStore(tmp_path / "s", facts)
    assert store.missing(["d4"]) == []
    assert store.read(["d4", "d4"]).lengths.tolist() == [0, 0]


def test_an_interrupted_call_continues(tmp_path: Path) -> None:
    first = Encoder(after=3)
    with pytest.raises(KeyboardInterrupt):
        TokenStore(tmp_path / "s", FACTS).add(IDS, first)
    assert shards(tmp_path / "s") == ["shard-00000000"], "the shard that was being made is not there"
    assert not [path for path in (tmp_path / "s").iterdir() if path.name.startswith(".")]
    second = Encoder()
    store = TokenStore(tmp_path / "s", FACTS)
    store.add(IDS, second)
    assert sorted(second.asked) == sorted(IDS[4:]), "the first shard was finished"
    assert_holds(store, IDS)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def shortened(path: Path) -> None:
    """A whole file, but of fewer documents."""
    np.save(path, np.load(path)[:-1])


@pytest.mark.parametrize("name", ["vectors.npy", "pooled.npy", "starts.npy"])
@pytest.mark.parametrize("damage", [cut, emptied, removed, shortened])
def test_a_damaged_shard_is_made_again(damage: Callable[[Path], None], name: str, tmp_path: Path) -> None:
    TokenStore(tmp_path / "s", FACTS).add(IDS, Encoder())
    damage(tmp_path / "s" / "shard-00000001" / name)
    store, encoder = TokenStore(tmp_path / "s", FACTS), Encoder()
    assert store.missing(IDS) == IDS[4:8]
    store.add(IDS, encoder)
    assert sorted(encoder.asked) == IDS[4:8]
    assert_holds(store, IDS)
    assert len(shards(tmp_path / "s")) == 3
    assert_holds(TokenStore(tmp_path / "s", FACTS), IDS)


def test_a_shard_without_ids_or_scales_is_made_again(tmp_path: Path) -> None:
    facts = {**FACTS, "storage": "int8"}
    TokenStore(tmp_path / "s", facts).add(IDS, Encoder())
    (tmp_path / "s" / "shard-00000000" / "ids.txt").unlink()
    (tmp_path / "s" / "shard-00000002" / "scales.npy").unlink()
    store, encoder = TokenStore(tmp_path / "s", facts), Encoder()
    store.add(IDS, encoder)
    assert sorted(encoder.asked) == sorted([*IDS[:4], *IDS[8:]])
    assert_holds(store, IDS, 0.01)


def test_who_only_reads_deletes_nothing(tmp_path: Path) -> None:
    TokenStore(tmp_path / "s", FACTS).add(IDS, Encoder())
    cut(tmp_path / "s" / "shard-00000001" / "vectors.npy")
    assert len(TokenStore(tmp_path / "s", FACTS)) == 7
    assert len(shards(tmp_path / "s")) == 3, "another process may be replacing it at this moment"


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({**FACTS, "modules": "tr+rank"}, "another modules ('ky+rank', not 'tr+rank')"),
        ({**FACTS, "documents": "xyz"}, "another documents ('abc', not 'xyz')"),
        ({**FACTS, "storage": "int8"}, "another storage ('float16', not 'int8')"),
        ({**FACTS, "prompt": "passage: "}, "another prompt (None, not 'passage: ')"),
        ({name: value for name, value in FACTS.items() if name != "modules"}, "another modules ('ky+rank', not None)"),
    ],
)
def test_vectors_of_anything_else_are_refused(facts: dict[str, str], problem: str, tmp_path: Path) -> None:
    TokenStore(tmp_path / "s", FACTS).add(["d1"], Encoder())
    with pytest.raises(XlrankError) as caught:
        TokenStore(tmp_path / "s", facts)
    assert str(caught.value) == (
        f"{tmp_path / 's'}: its vectors were made with {problem}; delete the folder, and they are made again"
    )


def test_vectors_in_another_format_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TokenStore(tmp_path / "s", FACTS)
    assert json.loads((tmp_path / "s" / "facts.json").read_text()) == {"format": 1, **FACTS}
    monkeypatch.setattr(room, "FORMAT", 2)
    with pytest.raises(XlrankError, match=r"made with another format \(1, not 2\)"):
        TokenStore(tmp_path / "s", FACTS)


@pytest.mark.parametrize("part", ["vectors", "pooled"])
def test_vectors_that_are_no_numbers_are_refused(part: str, tmp_path: Path) -> None:
    def broken(ids: Sequence[str]) -> Iterator[tuple[list[int], TokenVectors]]:
        found = vectors_of(ids)
        getattr(found, part)[-1, 0] = torch.nan
        yield list(range(len(ids))), found

    store = TokenStore(tmp_path / "s", FACTS)
    with pytest.raises(XlrankError, match="hold NaN; the modules are damaged"):
        store.add(["d1", "d2"], broken)
    assert shards(tmp_path / "s") == []


def test_eight_bits_take_about_half(tmp_path: Path) -> None:
    def wide(ids: Sequence[str]) -> Iterator[tuple[list[int], TokenVectors]]:
        vectors = normalize(torch.randn(100 * len(ids), 64), dim=-1)
        starts = starts_of(np.full(len(ids), 100))
        yield list(range(len(ids))), TokenVectors(vectors, starts, normalize(torch.randn(len(ids), HIDDEN), dim=-1))

    sizes = {}
    for storage in get_args(Storage):
        store = TokenStore(tmp_path / storage, {**FACTS, "storage": storage})
        assert store.bytes == 0
        store.add(IDS, wide)
        sizes[storage] = store.bytes
    assert sizes["float16"] > 11 * 100 * 64 * 2
    assert sizes["int8"] < 0.6 * sizes["float16"]


def test_of_several_that_add_the_same_one_makes_it(tmp_path: Path) -> None:
    """Each has opened the store for itself, as processes do; the lock is one of files."""
    encoders = [Encoder() for _ in range(3)]
    stores = [TokenStore(tmp_path / "s", FACTS) for _ in encoders]
    start = threading.Barrier(3)

    def add(number: int) -> None:
        start.wait()
        stores[number].add(IDS if number else IDS[::-1], encoders[number])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(itertools.chain(*(encoder.asked for encoder in encoders))) == sorted(IDS)
    for store in stores:
        assert_holds(store, IDS)


def test_what_another_has_added_meanwhile_is_taken(tmp_path: Path) -> None:
    one, other = TokenStore(tmp_path / "s", FACTS), TokenStore(tmp_path / "s", FACTS)
    one.add(IDS[:6], Encoder())
    encoder = Encoder()
    other.add(IDS, encoder)
    assert sorted(encoder.asked) == sorted(IDS[6:])
    assert_holds(other, IDS)
    one.add(IDS, encoder)
    assert len(encoder.asked) == 5
    assert_holds(one, IDS)
