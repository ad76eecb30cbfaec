"""Rankers with late interaction: scores by hand, mixed languages, stored documents, refusals, and texts without content."""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import (
    changed_module,
    make_adapter,
    make_late_ranking,
    make_lora,
    make_mask,
    make_ranking,
    write_collection,
)
from tests.ranking.late_by_hand import DOCUMENTS, PAIRS, QUERIES, scores_by_hand
from xlrank.bases import Base
from xlrank.collections import Collection, Document
from xlrank.composition import (
    Composition,
    Leaf,
    Stack,
    as_composition,
    average,
    both,
    drop,
    late,
    parse,
    scale,
    split,
    subtract,
    without_invertible,
)
from xlrank.composition.expression import Plain, StandIn
from xlrank.composition.sides import NOTHING
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.late import PROJECTION, LateSettings
from xlrank.precision import Precision
from xlrank.ranking import Ranker
from xlrank.ranking.interaction import Storage
from xlrank.ranking.late import LateInteraction
from xlrank.ranking.vectors import TextVectors
from xlrank.runs import Run

LANGUAGES = [("ky", "en"), ("tr", "en"), ("en", "ky"), ("ky", "ky")]


@pytest.fixture(scope="module")
def adapters(tiny_base: Base) -> dict[str, Module]:
    return {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "tr", "en"))}


@pytest.fixture(scope="module")
def folders(tiny_base: Base, adapters: dict[str, Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The adapters and a ranking module as folders; the pivot, English, has one, too."""
    folder = tmp_path_factory.mktemp("modules")
    made = {**adapters, "rank": make_late_ranking(tiny_base, 9, pooled=0.5)}
    return {name: str(module.save(folder / name)) for name, module in made.items()}


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The texts that were encoded, by side."""
    found: dict[str, list[str]] = {"query": [], "document": []}
    original = TextVectors.batches

    def batches(self: TextVectors, texts: Sequence[str], *arguments: Any) -> Any:  # noqa: ANN401
        found[self.side] += texts
        return original(self, texts, *arguments)

    monkeypatch.setattr(TextVectors, "batches", batches)
    return found


def ranker(base: Base, composition: Composition | Module | str, **settings: Any) -> Ranker:  # noqa: ANN401
    return Ranker(base, composition, **{"precision": "fp32", **settings})


def cases(base: Base, kind: str) -> list[tuple[Composition, Composition, Composition]]:
    """Compositions of one kind, and what the query and the document go through, written down without splits."""
    makers = {"adapter": make_adapter, "mask": make_mask, "lora": make_lora, "full": None}
    rank = make_late_ranking(base, 9, kind)
    alone = as_composition(rank)
    if kind == "full":  # it replaces all weights, so that nothing below it would be left
        ky = make_adapter(base, "ky", 1, invertible=False)
        return [
            (alone, alone, alone),
            (rank + ky, rank + ky, rank + ky),
            (rank + split(query=ky, document="none"), rank + ky, alone),
        ]
    ky, tr, en = (makers[kind](base, code, seed) for seed, code in enumerate(("ky", "tr", "en"), 1))  # type: ignore[misc]
    found: list[tuple[Composition, Composition, Composition]] = [
        (alone, alone, alone),
        (ky + rank, ky + rank, ky + rank),
        (split(query=ky, document=en) + rank, ky + rank, en + rank),
        (split(query=ky, document="none") + rank, ky + rank, alone),
        (split(query="none", document=ky) + rank, alone, ky + rank),
        (split(query=ky, document=Plain("en")) + rank, ky + rank, alone),
        (split(query=StandIn("ug", Leaf("ky", ky)), document=en) + rank, ky + rank, en + rank),
        (split(query=average(ky, tr), document=en) + rank, average(ky, tr) + rank, en + rank),
        (average(split(query=ky, document=en), tr) + rank, average(ky, tr) + rank, average(en, tr) + rank),
        (split(query=ky, document=en) + late(), as_composition(ky), as_composition(en)),
        (split(query=ky, document="none") + late(), as_composition(ky), NOTHING),
        (late(), NOTHING, NOTHING),
        (ky + scale(rank, 0.5), ky + scale(rank, 0.5), ky + scale(rank, 0.5)),
        (scale(split(query=ky, document="none"), -0.5) + rank, scale(ky, -0.5) + rank, alone),
    ]
    if kind == "adapter":
        found += [
            (drop(split(query=ky, document=en), 0) + rank, drop(ky, 0) + rank, drop(en, 0) + rank),
            (split(query=ky, document=en) + drop(rank, 1), ky + drop(rank, 1), en + drop(rank, 1)),
            (
                without_invertible(split(query=ky, document=en)) + rank,
                without_invertible(ky) + rank,
                without_invertible(en) + rank,
            ),
            (split(query=without_invertible(ky), document=en) + rank, without_invertible(ky) + rank, en + rank),
        ]
    else:
        found += [
            (both(query=ky, document=en) + rank, ky + en + rank, ky + en + rank),
            (both(query=ky, document="none") + rank, ky + rank, ky + rank),
            (both(query=ky, document=ky) + rank, ky + rank, ky + rank),
            (split(query=subtract(ky, tr), document=en) + rank, subtract(ky, tr) + rank, en + rank),
            (subtract(split(query=ky, document=en), tr) + rank, subtract(ky, tr) + rank, subtract(en, tr) + rank),
        ]
    return found


@pytest.mark.parametrize("kind", ["adapter", "mask", "lora", "full"])
def test_scores_by_hand(tiny_base: Base, kind: str) -> None:
    seen = []
    for composition, query, document in cases(tiny_base, kind):
        scores = ranker(tiny_base, composition).score(PAIRS)
        assert scores.dtype == np.float32
        expected = scores_by_hand(tiny_base, query, document)
        np.testing.assert_allclose(scores, expected, atol=2e-5, err_msg=str(composition))
        seen.append((str((str(query), str(document))), scores))
    for (one, scores), (other, others) in itertools.combinations(seen, 2):
        assert one == other or np.abs(scores - others).max() > 1e-4, f"{one} and {other} should differ"


def test_languages_of_different_kinds_stand_on_the_two_sides(tiny_base: Base) -> None:
    ky, en, rank = make_adapter(tiny_base, "ky", 1), make_mask(tiny_base, "en", 2), make_late_ranking(tiny_base, 9)
    scores = ranker(tiny_base, split(query=ky, document=en) + rank).score(PAIRS)
    np.testing.assert_allclose(scores, scores_by_hand(tiny_base, ky + rank, en + rank), atol=2e-5)


def test_another_base_with_another_tokenizer(tiny_xlmr_base: Base) -> None:
    ky, rank = make_adapter(tiny_xlmr_base, "ky", 1), make_late_ranking(tiny_xlmr_base, 2, pooled=0.3)
    scores = ranker(tiny_xlmr_base, split(query=ky, document="none") + rank).score(PAIRS)
    expected = scores_by_hand(tiny_xlmr_base, ky + rank, as_composition(rank), LateSettings(pooled=0.3))
    np.testing.assert_allclose(scores, expected, atol=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"pooled": 0.0},
        {"pooled": 0.7},
        {"query_prompt": "", "document_prompt": ""},
        {"query_prompt": "passage: ", "document_prompt": "query: "},
        {"query_length": 10},
        {"document_length": 16},
        {"query_length": 14, "document_length": 20, "pooled": 2.0},
        {"dim": 8},
        {"dim": 48, "pooled": 0.4},
    ],
    ids=str,
)
def test_a_ranking_modules_settings_by_hand(tiny_base: Base, settings: dict[str, Any]) -> None:
    ky, rank = make_adapter(tiny_base, "ky", 1), make_late_ranking(tiny_base, 9, **settings)
    scores = ranker(tiny_base, split(query=ky, document="none") + rank).score(PAIRS)
    expected = scores_by_hand(tiny_base, ky + rank, as_composition(rank), LateSettings(**settings), rank.tensors.get(PROJECTION))
    np.testing.assert_allclose(scores, expected, atol=2e-5)
    usual = ranker(tiny_base, split(query=ky, document="none") + make_late_ranking(tiny_base, 9)).score(PAIRS)
    assert settings == {"pooled": 0.0} or np.abs(usual - scores).max() > 1e-3


def test_the_ranker_may_cut_texts_shorter_but_not_longer(tiny_base: Base) -> None:
    rank = as_composition(make_late_ranking(tiny_base, 9, query_length=14, document_length=30))
    for max_length, lengths in ((20, (14, 20)), (12, (12, 12)), (500, (14, 30))):
        scores = ranker(tiny_base, rank, max_length=max_length).score(PAIRS)
        settings = LateSettings(query_length=lengths[0], document_length=lengths[1])
        np.testing.assert_allclose(scores, scores_by_hand(tiny_base, rank, rank, settings), atol=2e-5)
    with pytest.raises(XlrankError, match="late interaction: 5 word pieces leave no room beside the prompt 'query: '"):
        ranker(tiny_base, rank, max_length=5).score(PAIRS)


def test_the_highest_late_module_decides(tiny_base: Base) -> None:
    low, high = make_late_ranking(tiny_base, 8, pooled=3.0, dim=8), make_late_ranking(tiny_base, 9, pooled=0.5)
    scores = ranker(tiny_base, low + high).score(PAIRS)
    np.testing.assert_allclose(scores, scores_by_hand(tiny_base, low + high, low + high, LateSettings(pooled=0.5)), atol=2e-5)


def test_sides_of_different_sizes_are_refused(tiny_base: Base) -> None:
    small, large = make_late_ranking(tiny_base, 8, dim=8), make_late_ranking(tiny_base, 9)
    with pytest.raises(XlrankError) as caught:
        ranker(tiny_base, split(query=small, document=large)).score(PAIRS)
    assert str(caught.value) == (
        "composition split(ranking/late,ranking/late): token vectors of the query have 8 dimensions, those of documents all; "
        "use one ranking module on both sides"
    )


def test_a_projection_that_does_not_fit_is_refused(tiny_base: Base) -> None:
    rank = make_late_ranking(tiny_base, 8, dim=8)
    other = changed_module(rank, {**rank.tensors, PROJECTION: rank.tensors[PROJECTION][:4]})
    with pytest.raises(XlrankError, match=r"its projection is \[4, 32\], expected \[8, 32\]"):
        ranker(tiny_base, other).score(PAIRS)


@pytest.mark.parametrize(("precision", "error"), [("bf16", 0.02), ("int8", 0.12)])
def test_coarser_numbers_score_nearly_alike(tiny_base: Base, precision: Precision, error: float) -> None:
    composition = split(query=make_adapter(tiny_base, "ky", 1), document="none") + make_late_ranking(tiny_base, 9, pooled=0.5)
    exact = ranker(tiny_base, composition).score(PAIRS)
    coarse = ranker(tiny_base, composition, precision=precision).score(PAIRS)
    assert coarse.dtype == np.float32
    np.testing.assert_allclose(coarse, exact, atol=error)
    assert (coarse != exact).any()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("text", ["split(query,document)+rank", "query+rank", "document+rank", "split(query,none)+rank", "rank"])
def test_mixed_languages_in_one_call_equal_one_by_one(
    tiny_base: Base, folders: dict[str, str], text: str, precision: Precision
) -> None:
    pairs = [PAIRS[number] for number in (0, 5, 6, 11, 0, 3)]
    languages = [*LANGUAGES, LANGUAGES[2], LANGUAGES[0]]
    mixed = ranker(tiny_base, text, modules=folders, precision=precision)
    together = mixed.score(pairs, languages=languages)
    for pair, asked, score in zip(pairs, languages, together, strict=True):
        alone = ranker(tiny_base, mixed.composition_for(asked), precision=precision)
        # 8-bit layers scale a batch's numbers together.
        np.testing.assert_allclose(score, alone.score([pair])[0], atol=2e-5 if precision == "fp32" else 0.15)
    if "query" in text or "document" in text:
        assert abs(together[0] - together[4]) > 1e-3, "the same pair in other languages"


def test_masks_of_several_languages_take_turns(tiny_base: Base, tmp_path: Path) -> None:
    made = {code: make_mask(tiny_base, code, seed) for seed, code in enumerate(("ky", "tr", "en"))}
    modules = {name: str(module.save(tmp_path / name)) for name, module in made.items()}
    modules["rank"] = str(make_late_ranking(tiny_base, 9, "mask").save(tmp_path / "rank"))
    mixed = ranker(tiny_base, "split(query,document)+rank", modules=modules)
    together = mixed.score(PAIRS[:4], languages=LANGUAGES)
    alone = [float(mixed.score([pair], languages=each)[0]) for pair, each in zip(PAIRS, LANGUAGES, strict=False)]
    np.testing.assert_allclose(together, alone, atol=2e-5)


@pytest.mark.parametrize("tokens", [1, 40, 100])
def test_the_size_of_batches_does_not_matter(
    tiny_base: Base, folders: dict[str, str], tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    languages = [LANGUAGES[number % 4] for number in range(len(PAIRS))]
    expected = ranker(tiny_base, "split(query,document)+rank", modules=folders).score(PAIRS, languages=languages)
    monkeypatch.setattr("xlrank.ranking.vectors.BATCH_TOKENS", tokens)
    found = ranker(tiny_base, "split(query,document)+rank", modules=folders).score(PAIRS, languages=languages)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_each_text_is_encoded_once(tiny_base: Base, folders: dict[str, str], encoded: dict[str, list[str]]) -> None:
    mixed = ranker(tiny_base, "split(query,document)+rank", modules=folders)
    mixed.score([*PAIRS, *PAIRS], languages=("ky", "en"))
    assert sorted(encoded["query"]) == sorted(QUERIES)
    assert sorted(encoded["document"]) == sorted(DOCUMENTS)
    # The side decides: the document's is the same under both, so the two are one.
    mixed.score([PAIRS[0], PAIRS[0]], languages=[("ky", "en"), ("tr", "en")])
    assert encoded["query"][3:] == [QUERIES[0]] * 2
    assert encoded["document"][4:] == [DOCUMENTS[0]]


def test_rank_orders_by_score(tiny_base: Base) -> None:
    composition = split(query=make_adapter(tiny_base, "ky", 1), document="none") + make_late_ranking(tiny_base, 9)
    one = ranker(tiny_base, composition)
    scores = one.score([(QUERIES[0], document) for document in DOCUMENTS])
    hits = one.rank(QUERIES[0], [Document(f"d{number}", text) for number, text in enumerate(DOCUMENTS)])
    assert [hit.document.id for hit in hits] == [f"d{number}" for number in np.argsort(-scores)]
    assert [hit.score for hit in hits] == sorted(scores.tolist(), reverse=True)
    assert [hit.rank for hit in one.rank(QUERIES[0], DOCUMENTS, top_k=2)] == [1, 2]
    assert one.score([]).shape == (0,)


def candidates() -> Run:
    return Run.of(
        "dense", {"1": {f"d{i}": 9.0 - i for i in range(1, 7)}, "2": {"d3": 2.0, "d5": 1.0, "d2": 0.5}, "10": {"d4": 1.0}}
    )


@pytest.fixture
def collection(small_collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The small collection, with a cache of the test's own."""
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    return Collection(f"folder:{small_collection}")


def reranked(one: Ranker, collection: Collection, query_language: str = "ky", **options: Any) -> Run:  # noqa: ANN401
    return one.rerank(candidates(), collection, query_language=query_language, document_language="en", **options)


def stores(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "indexes").glob("late-*"))


@pytest.mark.parametrize(("storage", "error"), [("float16", 1e-3), ("int8", 0.012)])
def test_stored_documents_score_nearly_as_texts_do(
    tiny_base: Base,
    folders: dict[str, str],
    collection: Collection,
    storage: Storage,
    error: float,
) -> None:
    one = ranker(tiny_base, "split(query,document)+rank", modules=folders, storage=storage)
    found = reranked(one, collection).scores()
    queries = {topic.id: topic.query("title+description") for topic in collection.topics("ky")}
    texts = collection.documents("en").fetch([f"d{i}" for i in range(1, 7)])
    for topic, ranking in candidates().rankings.items():
        pairs = [(queries[topic], texts[document].full_text) for document, _ in ranking]
        scores = one.score(pairs, languages=("ky", "en"))
        np.testing.assert_allclose([found[topic][document] for document, _ in ranking], scores, atol=error)
    assert reranked(one, collection).rankings == reranked(one, collection).rankings


def test_an_unknown_storage_is_refused(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="late interaction: unknown storage 'int4'; expected float16 or int8"):
        ranker(tiny_base, late(), storage="int4").score(PAIRS)


def test_documents_are_encoded_once_whatever_is_asked(
    tiny_base: Base,
    folders: dict[str, str],
    adapters: dict[str, Module],
    collection: Collection,
    tmp_path: Path,
    encoded: dict[str, list[str]],
) -> None:
    def settled(text: str, language: str = "ky", **options: Any) -> tuple[int, int]:  # noqa: ANN401
        """How many queries and documents were encoded."""
        encoded["query"].clear()
        encoded["document"].clear()
        reranked(ranker(tiny_base, text, modules=folders, **options), collection, language)
        return len(encoded["query"]), len(encoded["document"])

    assert settled("split(query,document)+rank") == (3, 6)
    assert settled("split(query,document)+rank") == (3, 0), "another ranker reads the same store"
    assert settled("split(query,document)+rank", "tr") == (3, 0), "another query language"
    assert settled("split(none,document)+rank") == (3, 0), "other query modules"
    assert settled(f"split(tr,{folders['en']})+rank") == (3, 0), "the document's module by another name"
    assert len(stores(tmp_path)) == 1
    assert settled("query+rank") == (3, 6), "the document's side is another"
    assert settled("split(query,none)+rank") == (3, 6)
    assert settled("split(query,document)+rank", storage="int8") == (3, 6)
    assert settled("split(query,document)+rank", max_length=20) == (3, 6)
    assert settled("split(query,document)+rank", precision="bf16") == (3, 6)
    assert settled("split(query,document)+late()") == (3, 6)
    assert len(stores(tmp_path)) == 7


def test_only_candidates_are_encoded(
    tiny_base: Base, folders: dict[str, str], collection: Collection, encoded: dict[str, list[str]]
) -> None:
    one = ranker(tiny_base, "split(query,document)+rank", modules=folders)
    shallow = reranked(one, collection, depth=1)
    assert len(encoded["document"]) == 3
    deep = reranked(one, collection, depth=3)
    assert len(encoded["document"]) == len(set(encoded["document"])) == 5, "d1, d3, d4, then d2 and d5"
    assert shallow.rankings["1"][0][0] == "d1"
    assert [document for document, _ in deep.rankings["1"]][3:] == ["d4", "d5", "d6"], "the tail follows in its old order"


def test_a_changed_module_or_document_has_a_store_of_its_own(
    tiny_base: Base, collection: Collection, tmp_path: Path, encoded: dict[str, list[str]]
) -> None:
    first, other = (make_late_ranking(tiny_base, seed) for seed in (9, 10))
    one = reranked(ranker(tiny_base, first), collection).scores()
    assert reranked(ranker(tiny_base, other), collection).scores() != one
    assert len(stores(tmp_path)) == 2
    prompted = changed_module(first, first.tensors, {"late": LateSettings(document_prompt="d: ").as_dict()})
    assert reranked(ranker(tiny_base, prompted), collection).scores() != one
    folder = write_collection(tmp_path / "changed")
    path = folder / "documents.en.jsonl"
    path.write_text(path.read_text().replace("apple market", "market apple"))
    encoded["document"].clear()
    reranked(ranker(tiny_base, first), Collection(f"folder:{folder}"))
    assert len(encoded["document"]) == 6
    assert len(stores(tmp_path)) == 4


def test_an_interrupted_call_continues_with_the_same_scores(
    tiny_base: Base, collection: Collection, encoded: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlrank.ranking.store.SHARD", 2)
    rank = make_late_ranking(tiny_base, 9)

    def interrupted(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reranked(ranker(tiny_base, rank), collection, progress=interrupted)
    encoded["document"].clear()
    found = reranked(ranker(tiny_base, rank), collection)
    assert 0 < len(encoded["document"]) < 6
    assert found.scores() == reranked(ranker(tiny_base, rank), collection).scores()


def test_progress_counts_documents(tiny_base: Base, collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.ranking.store.SHARD", 2)
    monkeypatch.setattr("xlrank.ranking.vectors.BATCH_TOKENS", 1)
    one = ranker(tiny_base, make_late_ranking(tiny_base, 9))
    seen: list[tuple[int, int]] = []
    reranked(one, collection, depth=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3), (3, 3)]
    seen.clear()
    reranked(one, collection, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 6), (5, 6), (6, 6), (6, 6)], "three were there"
    seen.clear()
    one.score(PAIRS, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_texts_without_content_rank_last_and_are_noted(tiny_base: Base, caplog: pytest.LogCaptureFixture) -> None:
    one = ranker(tiny_base, make_late_ranking(tiny_base, 9, pooled=0.5))
    with caplog.at_level(logging.WARNING, "xlrank"):
        assert one.rank("", ["", "water"])[0].score == one.rank("water", [" \u200b\u200d"])[0].score == -3.0
        assert [record.getMessage() for record in caplog.records] == [
            "the query '' has no content; all its documents rank last",
            "document '0' has no content and ranks last",
        ]
        caplog.clear()
        hits = one.rank("water", ["", "the river", "\t\n", "water"])
    assert [hit.document.id for hit in hits[2:]] == ["0", "2"]
    assert hits[1].score > -1.5 > hits[2].score
    assert [record.getMessage() for record in caplog.records] == ["document '0', document '2' have no content and rank last"]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "xlrank"):
        one.score(PAIRS)
    assert not caplog.records


def test_documents_without_content_rank_last_and_are_noted(tiny_base: Base, tmp_path: Path) -> None:
    folder = write_collection(tmp_path / "with-empty")
    path = folder / "documents.en.jsonl"
    path.write_text(
        path.read_text() + '{"doc_id": "d7", "title": "", "text": "\\u200c"}\n{"doc_id": "d8", "title": "", "text": "\\u200d"}\n'
    )
    collection = Collection(f"folder:{folder}")
    one = ranker(tiny_base, make_late_ranking(tiny_base, 9))
    run = Run.of("dense", {"1": {"d7": 3.0, "d1": 2.0, "d8": 1.5, "d2": 1.0}, "2": {"d7": 1.0, "d3": 0.5}})
    for _ in range(2):
        found = one.rerank(run, collection, query_language="ky", document_language="en")
        assert [document for document, _ in found.rankings["1"]][2:] == ["d7", "d8"]
        assert [document for document, _ in found.rankings["2"]] == ["d3", "d7"]
        assert found.metadata["notes"] == ["document 'd7', document 'd8' have no content and rank last"]
    queries = {"1": "", "2": "water"}
    found = one.rerank(run, collection, query_language="ky", document_language="en", queries=queries)
    assert {score for _, score in found.rankings["1"]} == {-2.0}
    assert found.metadata["notes"] == [
        "topic '1' has no content; all its documents rank last",
        "document 'd7' has no content and ranks last",
    ]


def test_texts_that_fill_their_word_pieces_are_counted(tiny_base: Base, tmp_path: Path) -> None:
    collection = Collection(f"folder:{write_collection(tmp_path / 'small')}")
    module = make_late_ranking(tiny_base, 9, query_prompt="", document_prompt="", query_length=8, document_length=10)
    run = Run.of("dense", {"1": {"d1": 3.0, "d2": 2.0, "d6": 1.0}, "2": {"d1": 1.0, "d3": 0.5}})
    one = ranker(tiny_base, module)
    expected = [
        "late interaction: 1 of 2 queries fill their 6 word pieces; what follows them is not read",
        "late interaction: 2 of 4 documents fill their 8 word pieces; what follows them is not read",
    ]
    queries = {"1": "дарыя көпүрө суу", "2": "дарыя жана көпүрө суу мектеп базар"}
    for _ in range(2):  # the second time the documents come out of the store
        found = one.rerank(run, collection, query_language="ky", document_language="en", queries=queries)
        assert found.metadata["notes"] == expected


def test_reference_mode_is_refused(tiny_base: Base) -> None:
    rank = make_late_ranking(tiny_base, 9)
    with pytest.raises(XlrankError, match="^reference mode repeats quirks of the original's cross-encoder; ranking/late is late"):
        Ranker(tiny_base, rank, reference=True).score(PAIRS)


def test_a_late_module_beside_a_cross_one_is_refused(tiny_base: Base) -> None:
    rank, cross = make_late_ranking(tiny_base, 9), make_ranking(tiny_base, 8)
    for composition in (rank + cross, cross + rank, cross + late()):
        with pytest.raises(XlrankError, match="is for late interaction, ranking/en for a cross-encoder; use one of them"):
            Ranker(tiny_base, composition)
    with pytest.raises(XlrankError, match="ranking/late is for late interaction, ranking/en for a cross-encoder"):
        Ranker(tiny_base, rank) + cross


def test_modules_of_another_base_are_refused(tiny_base: Base, tiny_xlmr_base: Base) -> None:
    with pytest.raises(XlrankError, match="was made for base"):
        Ranker(tiny_xlmr_base, make_late_ranking(tiny_base, 9))


def test_which_interaction_a_ranker_has(tiny_base: Base) -> None:
    ky = make_adapter(tiny_base, "ky", 1)
    assert isinstance((tiny_base + ky + make_late_ranking(tiny_base, 9)).interaction, LateInteraction)
    assert isinstance(Ranker(tiny_base, "late()").interaction, LateInteraction)
    assert not isinstance((tiny_base + ky + make_ranking(tiny_base, 9)).interaction, LateInteraction)
    grown = ranker(tiny_base, ky, max_length=20, storage="int8") + make_late_ranking(tiny_base, 9)
    assert isinstance(grown.interaction, LateInteraction)
    assert (grown.interaction.storage, grown.interaction.documents.max_length) == ("int8", 20)


def test_a_composition_is_reduced_and_planned_once(
    tiny_base: Base, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ranker(tiny_base, "split(query,document)+rank", modules=folders)
    one.score(PAIRS, languages=("ky", "en"))

    def failing(*_: object, **__: object) -> None:
        raise AssertionError("planned, or loaded, again")

    for name in ("xlrank.ranking.shared.plan", "xlrank.composition.rules.plan", "xlrank.modules.Module.load"):
        monkeypatch.setattr(name, failing)
    one.score(PAIRS, languages=("ky", "en"))


def test_the_base_is_left_as_it_was(tiny_base: Base) -> None:
    before = ranker(tiny_base, "late()").score(PAIRS)
    for kind in ("adapter", "mask", "lora", "full"):
        ranker(tiny_base, make_late_ranking(tiny_base, 9, kind)).score(PAIRS)
    np.testing.assert_array_equal(ranker(tiny_base, "late()").score(PAIRS), before)
    np.testing.assert_allclose(before, scores_by_hand(tiny_base, Stack(()), parse("none")), atol=2e-5)
