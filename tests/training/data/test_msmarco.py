"""MS MARCO's layout: the paper's walk over the triples, texts looked up, a held-out part, and what is refused."""

import gzip
from pathlib import Path

import pytest

from tests.training.data.marco import HELDOUT, TRIPLES, write_marco, write_tar
from xlrank.errors import XlrankError
from xlrank.training.data import Example, TrainingData, open_data
from xlrank.training.data import msmarco as published


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


def opened(folder: Path, **options: object) -> TrainingData:
    settings: dict[str, object] = {"seed": 1, "heldout": 2, "grouped": False}
    return open_data(folder, **settings | options)  # type: ignore[arg-type]


def examples(data: TrainingData) -> list[Example]:
    return list(data.train)  # type: ignore[arg-type]


def number(text: str) -> int:
    return int(text.split()[-1])


@pytest.mark.parametrize("packed", [False, True])
def test_of_five_triples_the_first_gives_its_positive(tmp_path: Path, packed: bool) -> None:
    folder = write_marco(tmp_path / "marco", packed=packed)
    data = opened(folder)
    held = {example.query for example in data.heldout}
    assert len(held) == 2
    kept = [i for i in range(60) if f"question number {i % 12}" not in held]
    expected = [
        Example(
            f"question number {i % 12}",
            (f"passage number {i % 12 if place % 5 == 0 else 12 + i % 28}",),
            (float(place % 5 == 0),),
        )
        for place, i in enumerate(kept)
    ]
    assert examples(data) == expected
    assert data.group_size == 1


def test_groups_of_two_for_losses_that_compare(tmp_path: Path) -> None:
    data = opened(write_marco(tmp_path / "marco"), grouped=True)
    assert data.group_size == 2
    for example in examples(data):
        assert example.targets == (1, 0)
        assert number(example.documents[0]) == number(example.query)
        assert number(example.documents[1]) >= 12


def test_the_number_of_pairs_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_marco(tmp_path / "marco")
    assert published.MOST_PAIRS == 20_000_000
    assert len(examples(opened(folder, limit=7))) == 7
    monkeypatch.setattr(published, "MOST_PAIRS", 11)
    assert len(examples(opened(folder))) == 11
    assert len(examples(opened(folder, limit=7))) == 7


def test_the_published_held_out_part_is_used_and_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "HELDOUT_NEGATIVES", 3)
    folder = write_marco(tmp_path / "marco")
    rows = [f"{100 + query}\t{query}\t{negative}\n" for negative in (30, 30, 31, 32, 33) for query in (5, 3, 7)]
    (folder / f"{HELDOUT}.gz").write_bytes(gzip.compress("".join(rows).encode()))
    data = opened(folder)
    found = [(number(e.query), number(e.documents[0]), e.targets[0]) for e in data.heldout]
    assert found == [(q, d, t) for q in (5, 3) for d, t in ((q, 1), (30, 0), (31, 0), (32, 0))]
    assert {number(example.query) for example in examples(data)} == set(range(12)) - {5, 3}
    grouped = opened(folder, grouped=True, heldout=0.1)  # a share takes all of them
    assert [(number(e.query), *map(number, e.documents)) for e in grouped.heldout] == [
        (q, q, d) for q in (5, 3, 7) for d in (30, 31, 32)
    ]


def test_a_query_with_the_same_text_under_another_id_is_held_out_too(tmp_path: Path) -> None:
    folder = write_marco(tmp_path / "marco")
    with (folder / "queries.dev.tsv").open("w") as stream:
        stream.write("".join(f"{200 + i}\tQuestion  number {i}\n" for i in range(12)))
    triples = folder / TRIPLES
    triples.write_text(triples.read_text() + "".join(f"{200 + i}\t{i}\t20\n" for i in range(12)))
    data = opened(folder, heldout=4)
    held = {number(example.query) for example in data.heldout}
    assert len(held) >= 3
    assert not held & {number(example.query) for example in examples(data)}


def test_the_files_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_marco(tmp_path / "marco")
    monkeypatch.setattr("xlrank.files.HASHED_BYTES", 600)
    sources = opened(folder).sources
    assert [source["name"] for source in sources] == ["collection.tsv", "queries.train.tsv", TRIPLES]
    assert [set(source) for source in sources] == [{"name", "bytes", "changed"}, {"name", "sha256"}, {"name", "sha256"}]


def test_both_packed_in_one_archive(tmp_path: Path) -> None:
    folder = write_marco(tmp_path / "marco")
    members = {name: (folder / name).read_text() for name in ("collection.tsv", "queries.train.tsv")}
    expected = examples(opened(folder))
    for name in members:
        (folder / name).unlink()
    write_tar(folder / "collectionandqueries.tar.gz", members)
    assert examples(opened(folder)) == expected


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("100\t1", "line 61: 2 columns; expected 3"),
        ("100\t1\t2\t3", "line 61: 4 columns; expected 3"),
        ("999\t1\t2", "line 61: unknown query '999'"),
        ("101\t777\t888", "line 61: unknown passage '(777|888)'"),
    ],
)
def test_bad_triples_are_named(tmp_path: Path, row: str, problem: str) -> None:
    folder = write_marco(tmp_path / "marco")
    triples = folder / TRIPLES
    triples.write_text(triples.read_text() + row + "\n")
    with pytest.raises(XlrankError, match=problem):
        data = opened(folder)
        examples(data)
        list(data.heldout)


def test_an_empty_passage_is_named(tmp_path: Path) -> None:
    folder = write_marco(tmp_path / "marco")
    collection = folder / "collection.tsv"
    collection.write_text(collection.read_text().replace("passage number 30\n", "\n"))
    with pytest.raises(XlrankError, match=r"line \d+: passage 30: a text is missing or empty"):
        examples(opened(folder))


def test_missing_and_ambiguous_files(tmp_path: Path) -> None:
    folder = write_marco(tmp_path / "marco")
    (folder / f"msmarco-{TRIPLES}").write_text("1\t2\t3\n")
    with pytest.raises(XlrankError, match=r"expected one file \*qidpidtriples\*.*found msmarco-qidpidtriples.*, qidpid"):
        opened(folder)
    (folder / f"msmarco-{TRIPLES}").unlink()
    for name, problem in {
        "collection.tsv": r"expected collection\.tsv or",
        "queries.train.tsv": r"expected queries\.tar\.gz or",
        TRIPLES: "found none",
    }.items():
        text = (folder / name).read_text()
        (folder / name).unlink()
        with pytest.raises(XlrankError, match=problem):
            opened(folder)
        (folder / name).write_text(text)
    (folder / TRIPLES).write_text("\n")
    with pytest.raises(XlrankError, match="holds no triples"):
        opened(folder)


def test_triples_cut_short(tmp_path: Path) -> None:
    folder = write_marco(tmp_path / "marco", rows=9000, packed=True)
    path = folder / f"{TRIPLES}.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(XlrankError, match=r"qidpidtriples\.train\.tsv\.gz, after line \d+: cannot be read"):
        opened(folder)
