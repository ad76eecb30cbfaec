"""Compositions as first stages: ``dense(COMPOSITION)`` and ``late(COMPOSITION)`` against brute force, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_adapter, make_late_ranking, make_ranking, write_collection
from tests.ranking.late_by_hand import Side, score_by_hand, scores_by_hand
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.composition import Composition, as_composition
from xlrank.composition.sides import NOTHING
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.late import PROJECTION, LateSettings
from xlrank.retrieval.expression import Call, parse_call
from xlrank.retrieval.first_stage import Search
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.late import Late
from xlrank.retrieval.methods import ALIASES, first_stage
from xlrank.runs import Run

SPLIT = "split(query,document)+rank"
SETTINGS = LateSettings(pooled=0.5, document_length=24, dim=16)


@pytest.fixture(scope="module")
def modules(tiny_base: Base) -> dict[str, Module]:
    made = {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "tr", "en"))}
    made |= {"rank": make_late_ranking(tiny_base, 9, **SETTINGS.as_dict()), "cross": make_ranking(tiny_base, 8)}
    return made


@pytest.fixture(scope="module")
def folders(modules: dict[str, Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("modules")
    return {name: str(module.save(folder / name)) for name, module in modules.items()}


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The small collection with two documents without content, and a cache of the test's own."""
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    folder = write_collection(tmp_path / "small")
    with (folder / "documents.en.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(
            '{"doc_id": "d0", "title": "", "text": "\\u200d"}\n{"doc_id": "d9", "title": "", "text": "the water of the river"}\n'
        )
    return Collection(f"folder:{folder}")


@pytest.fixture
def search(collection: Collection, tiny_base: Base, folders: dict[str, str]) -> Search:
    return asked(collection, tiny_base, folders)


def asked(collection: Collection, base: Base, modules: dict[str, str], query: str = "tr", depth: int = 5) -> Search:
    return Search(collection, query, "en", base, depth=depth, modules=lambda: modules)


def pairs_of(search: Search) -> list[tuple[str, str, str, str]]:
    """Topic, document, query's text, document's text; of documents that have a text."""
    texts = {document.id: document.full_text for document in search.documents if document.id != "d0"}
    queries = search.queries(search.originals)
    return [(topic, id_, queries[topic], texts[id_]) for topic in queries for id_ in texts]


def assert_found(search: Search, expression: str, expected: list[float], error: float) -> None:
    """The run of a stage has these scores of all pairs, and the best documents of each topic."""
    pairs = pairs_of(search)
    deep = first_stage(expression).run(replace(search, depth=100))
    scores = deep.scores()
    found = [scores[topic][id_] for topic, id_, _, _ in pairs]
    np.testing.assert_allclose(found, expected, atol=error)
    assert sum(map(len, scores.values())) >= len(pairs)
    shallow = first_stage(expression).run(search)
    for topic, ranking in shallow.rankings.items():
        assert len(ranking) == search.depth
        assert ranking == deep.rankings[topic][: search.depth]
        best = [(score, id_) for score, (at, id_, _, _) in zip(found, pairs, strict=True) if at == topic]
        ids = [id_ for id_, _ in ranking if id_ != "d0"]
        assert ids == [id_ for _, id_ in sorted(best, key=lambda one: (-one[0], one[1]))][: len(ids)]


def sides(modules: dict[str, Module], expression: str) -> tuple[Composition, Composition]:
    ky_rank, alone = modules["tr"] + modules["rank"], as_composition(modules["rank"])
    return {
        SPLIT: (ky_rank, modules["en"] + modules["rank"]),
        "split(query,none)+rank": (ky_rank, alone),
        "query+rank": (ky_rank, ky_rank),
        "rank": (alone, alone),
        "split(query,document)": (as_composition(modules["tr"]), as_composition(modules["en"])),
        "late()": (NOTHING, NOTHING),
    }[expression]


EXPRESSIONS = [SPLIT, "split(query,none)+rank", "query+rank", "rank", "split(query,document)", "late()"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_late_finds_what_brute_force_finds(search: Search, tiny_base: Base, modules: dict[str, Module], expression: str) -> None:
    query, document = sides(modules, expression)
    settings, projection = (SETTINGS, modules["rank"].tensors[PROJECTION]) if "rank" in expression else (None, None)
    pairs = [(asked, found) for _, _, asked, found in pairs_of(search)]
    expected = scores_by_hand(tiny_base, query, document, settings, projection, pairs)
    assert_found(search, f"late({expression})", expected, 1e-3)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_dense_finds_what_brute_force_finds(search: Search, tiny_base: Base, modules: dict[str, Module], expression: str) -> None:
    """The cosine of the means alone, with the prompts and lengths of the ranking module."""
    query, document = sides(modules, expression)
    length = 24 if "rank" in expression else 64
    asks, finds = Side(query, "query: ", 64), Side(document, "passage: ", length)
    expected = [
        score_by_hand(tiny_base, asks, finds, (asked, found), 1.0) - score_by_hand(tiny_base, asks, finds, (asked, found))
        for _, _, asked, found in pairs_of(search)
    ]
    assert_found(search, f"dense({expression})", expected, 2e-3)


def test_without_a_ranking_module_the_bare_vectors_meet(search: Search) -> None:
    bare, said = first_stage("late(split(query,document))"), first_stage("late(split(query,document)+late())")
    assert bare.run(search).rankings == said.run(search).rankings
    assert bare.identity(search) == said.identity(search)


def test_documents_without_content_are_never_found(search: Search) -> None:
    found = first_stage("late(rank)").run(replace(search, depth=100))
    assert all({id_ for id_, _ in ranking} == {*(f"d{i}" for i in range(1, 7)), "d9"} for ranking in found.rankings.values())


def test_equal_scores_stand_in_the_order_of_ids(collection: Collection, tiny_base: Base, folders: dict[str, str]) -> None:
    path = Path(collection.id.removeprefix("folder:")) / "documents.en.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(line.replace('"text": "the doctor and the train"', '"text": "water of the river"') for line in lines[::-1])
        + "\n"
    )
    again = asked(Collection(collection.id), tiny_base, folders)
    for expression in ("late(rank)", "dense(rank)"):
        ranking = [id_ for id_, _ in first_stage(expression).run(replace(again, depth=100)).rankings["1"]]
        assert ranking.index("d6") == ranking.index("d5") + 1


def test_only_the_topics_asked_for(search: Search) -> None:
    one = replace(search, topics=frozenset({"2"}))
    for expression in (f"late({SPLIT})", f"dense({SPLIT})"):
        assert list(first_stage(expression).run(one).rankings) == ["2"]


def test_no_topics_find_nothing(search: Search) -> None:
    none = replace(search, topics=frozenset({"99"}))
    for expression in ("dense", f"late({SPLIT})", f"dense({SPLIT})"):
        assert first_stage(expression).run(none).rankings == {}


def test_an_index_is_made_once(search: Search, collection: Collection, tiny_base: Base, folders: dict[str, str]) -> None:
    for expression in (f"late({SPLIT})", f"dense({SPLIT})"):
        (made,) = first_stage(expression).index(search)
        assert made.is_dir()
        other = asked(collection, tiny_base, folders, query="ky")
        assert first_stage(expression).index(other) == [made], "the query's side does not matter"
        before = {path: path.stat().st_mtime_ns for path in made.rglob("*.npy")}
        first_stage(expression).run(other)
        assert {path: path.stat().st_mtime_ns for path in made.rglob("*.npy")} == before


@pytest.mark.parametrize(
    "text",
    [
        "late(rank)",
        "dense(split(query,document)+rank)",
        "late(split(ky,none)+late())",
        "rrf(dense, late(average(ky,tr)+rank), k=3)",
        "wsum(rocchio(late(rank), dense(rank)), bm25(psq), weights=0.7:0.3)",
        "dense(max_length=64)",
    ],
)
def test_it_prints_as_it_parses(text: str) -> None:
    assert str(parse_call(text)) == text
    assert parse_call(str(parse_call(text))) == parse_call(text)
    assert str(first_stage(text)) == text


def test_spaces_and_quotes_around_a_composition_do_not_matter() -> None:
    expected = Call("late", (Call("split(query,document)+rank", composition=True),))
    for text in (
        "late(split(query,document)+rank)",
        "late( split( query , document ) + rank )",
        'late("split(query,document)+rank")',
    ):
        assert parse_call(text) == expected
    assert str(parse_call("dense")) == "dense"
    assert parse_call("dense(max_length=12)").options == {"max_length": "12"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("late", "first stage 'late'"),
        ("late()", "first stage 'late'"),
        ("late(rank, ky)", "first stage 'late(rank, ky)'"),
        ("late(rank, k=3)", "first stage 'late(rank, k=3)'"),
        ("dense(rank, max_length=12)", "first stage 'dense(rank, max_length=12)'"),
        ("dense(rank, ky)", "first stage 'dense(rank, ky)'"),
        ("late(rank", "',' or ')' at character 10"),
        ("late(split(ky)", "split takes 2 arguments"),
        ("late(split(ky))", "split takes 2 arguments"),
        ("dense(,rank)", "a module's name is missing"),
        ("late(rank))", "expected the end at character 11"),
        ("rm3(dense, late(rank))", "late(rank) cannot ask again"),
        ("rocchio(dense, late(rank))", "late(rank) cannot ask again"),
    ],
)
def test_what_is_malformed_is_refused(text: str, problem: str) -> None:
    with pytest.raises(XlrankError) as caught:
        first_stage(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("method", ["late", "dense"])
def test_what_cannot_find_documents_is_refused_before_anything_is_read(method: str, search: Search) -> None:
    stage = first_stage(f"{method}(split(query,document)+cross)")
    for ask in (stage.check, stage.identity, stage.run):
        with pytest.raises(XlrankError) as caught:
            ask(search)
        assert str(caught.value) == (
            f"first stage '{stage}': {search.modules()['cross']} is a cross-encoder's module, which cannot find documents; "
            "expected language modules and a ranking module for late interaction"
        )
    with pytest.raises(XlrankError, match="is for late interaction, .* for a cross-encoder; use one of them"):
        first_stage(f"{method}(rank+cross)").check(search)
    with pytest.raises(XlrankError, match="put it lowest"):
        first_stage(f"{method}(rank+query)").check(search)
    with pytest.raises(XlrankError, match="module 'absent': no such folder"):
        first_stage(f"rrf(dense, {method}(absent))").check(search)
    first_stage(f"{method}({SPLIT})").check(search)


def test_modules_of_another_base_are_refused(collection: Collection, tiny_xlmr_base: Base, folders: dict[str, str]) -> None:
    for method in ("late", "dense"):
        with pytest.raises(XlrankError, match="was made for base"):
            first_stage(f"{method}(rank)").check(asked(collection, tiny_xlmr_base, folders))


def test_what_decides_a_run_is_in_its_identity(
    search: Search, collection: Collection, tiny_base: Base, folders: dict[str, str], modules: dict[str, Module], tmp_path: Path
) -> None:
    compositions = [SPLIT, "split(query,none)+rank", "split(none,document)+rank", "query+rank", "document+rank", "rank", "late()"]
    texts = ["dense", *(f"{method}({each})" for method in ("late", "dense") for each in compositions)]
    known = {text: str(first_stage(text).identity(search)) for text in texts}
    assert len(set(known.values())) == len(texts)
    assert all(str(first_stage(text).identity(asked(collection, tiny_base, folders))) == known[text] for text in texts)
    copied = folders | {name: str(modules[name].save(tmp_path / f"{name}-copy")) for name in ("tr", "en", "rank")}
    assert all(str(first_stage(text).identity(asked(collection, tiny_base, copied))) == known[text] for text in texts), (
        "names do not decide"
    )
    for name, touched in (
        ("tr", {SPLIT, "split(query,none)+rank", "query+rank"}),
        ("en", {SPLIT, "split(none,document)+rank", "document+rank"}),
        ("rank", set(compositions) - {"late()"}),
    ):
        other = make_late_ranking(tiny_base, 77) if name == "rank" else make_adapter(tiny_base, name, 77)
        changed = folders | {name: str(other.save(tmp_path / f"{name}-other"))}
        now = {text: str(first_stage(text).identity(asked(collection, tiny_base, changed))) for text in texts}
        assert {text for text in texts if now[text] != known[text]} == {
            f"{method}({each})" for method in ("late", "dense") for each in touched
        }
    deeper = replace(search, depth=7)
    assert all(str(first_stage(text).identity(deeper)) != known[text] for text in texts)


def test_fusion_and_feedback_take_them_as_any_other(search: Search) -> None:
    parts = [first_stage(text).run(search) for text in (f"late({SPLIT})", "dense")]
    fused = first_stage(f"wsum(late({SPLIT}), dense, weights=3:1)").run(search)
    assert fused.rankings == fuse(parts, "wsum", depth=5, weights=[3.0, 1.0]).rankings
    asking = first_stage(f"dense({SPLIT})")
    led = first_stage(f"rocchio(late({SPLIT}), dense({SPLIT}), documents=1, weight=50)").run(search)
    for topic, ranking in led.rankings.items():
        assert ranking[0][0] == parts[0].rankings[topic][0][0], "so large a weight leaves of the query little"
    assert led.rankings != asking.run(search).rankings
    words = first_stage(f"rm3(late({SPLIT}), bm25s(as-is), documents=1)").run(search)
    assert set(words.rankings) == set(parts[0].rankings)
    assert all(ranking[0][0] == parts[0].rankings[topic][0][0] for topic, ranking in words.rankings.items())
    assert len(first_stage(f"rrf(late({SPLIT}), dense({SPLIT}), dense)").index(search)) == 3


def test_the_best_is_an_expression_like_any_other(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    best = first_stage("best")
    assert str(best) == ALIASES["best"] == str(parse_call(ALIASES["best"]))
    best.check(search)
    found = f"wsum(late({SPLIT}), bm25s(psq), weights=0.6:0.4)"
    without_java = f"rocchio({found}, dense({SPLIT}), weight=2)"
    assert without_java.replace("bm25s(psq)", "bm25(psq)") == ALIASES["best"]
    calls = list[str]()
    original = Late.run

    def counting(self: Late, search: Search) -> Run:
        calls.append(str(self))
        return original(self, search)

    monkeypatch.setattr(Late, "run", counting)
    assert set(first_stage(f"rrf({without_java}, {found}, late({SPLIT}))").run(search).rankings) == {"1", "2", "10"}
    assert calls == [f"late({SPLIT})"], "all parts of it share one run"
