"""Rankers: scores in the order asked, whatever the batches; rankings; reranked runs; interruptions; precisions."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xlrank
from tests.conftest import changed_module, composed_states, make_adapter, make_batch, make_lora, make_mask, make_ranking
from xlrank.bases import Base
from xlrank.collections import Collection, Document
from xlrank.composition import parse
from xlrank.composition.model import Output
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.layers import build_ranking_head
from xlrank.precision import resolve_precision, torch_dtype
from xlrank.ranking import Journal, Ranker
from xlrank.ranking.cross import LOWEST, CrossEncoder
from xlrank.ranking.pairs import Batch
from xlrank.ranking.ranker import _spelled, merge
from xlrank.runs import Run

TEXTS = [
    "the river",
    "a school in winter, the market",
    "apple",
    "water of the river and the bridge",
    "doctor",
    "the election in the school",
    "train",
    "b c d e f g h i j k l m n o p q r s t u v w x y z",
]
PAIRS = [(query, text) for query in ("дарыя жана көпүрө", "шайлоо") for text in TEXTS]


@pytest.fixture
def ranker(tiny_base: Base) -> Ranker:
    ky, en = make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2)
    ranker = tiny_base + xlrank.split(query=ky, document=en) + make_ranking(tiny_base, 3)
    return Ranker(tiny_base, ranker.composition, precision="fp32")


def with_precision(ranker: Ranker, precision: Any) -> Ranker:  # noqa: ANN401 - also names that are none
    return Ranker(ranker.base, ranker.composition, precision=precision)


def test_base_plus_split_plus_rank(tiny_base: Base) -> None:
    ky, rank = make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 3)
    ranker = tiny_base + xlrank.split(query=ky, document=ky) + rank
    assert isinstance(ranker, xlrank.Ranker)
    assert repr(ranker) == f"Ranker({tiny_base.name!r} + split(language/ky,language/ky)+ranking/en)"
    stacked = tiny_base + (ky + rank)
    np.testing.assert_allclose(ranker.score(PAIRS), stacked.score(PAIRS), atol=1e-5)


def test_scores_are_the_heads_of_the_composed_states(ranker: Ranker) -> None:
    module = list(ranker.composition.leaves())[-1].loaded()
    batch = make_batch(ranker.base, PAIRS)
    logits = build_ranking_head(module, 32)(
        composed_states(ranker.base, ranker.composition, PAIRS), batch.attention_mask, batch.sides
    )
    assert logits.shape == (len(PAIRS), 1)
    expected = logits[:, 0]
    scores = ranker.score(PAIRS)
    assert scores.dtype == np.float32
    assert scores.std() > 0.01
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-5)


def test_the_order_of_results_is_the_order_of_pairs(ranker: Ranker) -> None:
    scores = ranker.score(PAIRS)
    order = np.random.default_rng(0).permutation(len(PAIRS))
    np.testing.assert_allclose(ranker.score([PAIRS[i] for i in order]), scores[order], atol=1e-5)
    np.testing.assert_allclose([ranker.score([pair])[0] for pair in PAIRS], scores, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 40, 100])
def test_the_size_of_batches_does_not_matter(ranker: Ranker, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = ranker.score(PAIRS)
    monkeypatch.setattr("xlrank.ranking.cross.BATCH_TOKENS", tokens)
    np.testing.assert_allclose(ranker.score(PAIRS), scores, atol=1e-5)


def test_nothing_to_score(ranker: Ranker) -> None:
    assert ranker.score([]).shape == (0,)
    assert ranker.rank("суу", []) == []
    assert len(ranker.score(iter(PAIRS[:2]))) == 2


def test_texts_without_content_rank_last_and_are_named(ranker: Ranker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "xlrank"):
        scores = ranker.score([("суу", " \u200b"), *PAIRS, ("\u200d", "water"), ("суу", "")])
        hits = ranker.rank("суу", ["\u00ad", "water", Document("x", "", "the river")])
    np.testing.assert_allclose(scores[1:-2], ranker.score(PAIRS), atol=1e-5)
    assert {*scores[[0, -2, -1]].tolist()} == {LOWEST} and LOWEST < scores[1:-2].min()
    assert [hit.document.id for hit in hits][2] == "0"
    assert [record.getMessage() for record in caplog.records] == [
        "the query '\\u200d' has no content; all its documents rank last",
        f"the document of pair 0, the document of pair {len(PAIRS) + 2} have no content and rank last",
        "document '0' has no content and ranks last",
    ]


def test_letters_of_other_alphabets_become_those_of_the_language() -> None:
    pairs = [("ѳзгɵчѳ", "ѳ"), ("a", "مه")]
    for language in ("ky", "kg", "Kyrgyz"):
        assert _spelled(pairs, (language, "en")) == [("өзгөчө", "ѳ"), ("a", "مه")]
    assert _spelled(pairs, [("en", "ky"), ("en", "ug")]) == [("ѳзгɵчѳ", "ө"), ("a", "مە")]
    assert _spelled(pairs, None) == pairs


def test_ranking_orders_by_score(ranker: Ranker) -> None:
    hits = ranker.rank("дарыя", TEXTS)
    scores = ranker.score([("дарыя", text) for text in TEXTS])
    assert [hit.rank for hit in hits] == list(range(1, len(TEXTS) + 1))
    assert [hit.document.text for hit in hits] == [TEXTS[i] for i in np.argsort(-scores)]
    assert {hit.document.id: hit.score for hit in hits} == pytest.approx(
        {str(i): float(s) for i, s in enumerate(scores)}, abs=1e-5
    )
    assert [hit.document.id for hit in ranker.rank("дарыя", TEXTS, top_k=2)] == [hit.document.id for hit in hits[:2]]


def test_equal_scores_are_ordered_by_id(ranker: Ranker) -> None:
    documents = [Document(name, "the same text") for name in ("b", "10", "9", "a")]
    assert [hit.document.id for hit in ranker.rank("дарыя", documents)] == ["10", "9", "a", "b"]


def test_titles_count(ranker: Ranker) -> None:
    titled, plain = ranker.rank("дарыя", [Document("1", "bridge", "river"), Document("2", "river. bridge")])
    assert titled.score == pytest.approx(plain.score, abs=1e-5)


@pytest.fixture
def collection(small_collection: Path) -> Collection:
    return Collection(f"folder:{small_collection}")


LANGUAGES: dict[str, Any] = {"query_language": "ky", "document_language": "en"}
CANDIDATES = Run.of("dense", {"1": {f"d{i}": 1.0 - i / 10 for i in range(1, 7)}, "10": {"d2": 0.5}, "2": {"d6": 0.1, "d5": 0.2}})


def test_reranking_orders_the_head_and_keeps_the_tail(ranker: Ranker, collection: Collection) -> None:
    run = ranker.rerank(CANDIDATES, collection, **LANGUAGES, depth=3)
    documents = {document.id: document.full_text for document in collection.documents("en")}
    topic = collection.topics("ky")[0]
    scores = dict(
        zip(("d1", "d2", "d3"), ranker.score([(topic.query(), documents[d]) for d in ("d1", "d2", "d3")]).tolist(), strict=True)
    )
    ranking = run.rankings["1"]
    assert [d for d, _ in ranking] == [*sorted(scores, key=lambda d: -scores[d]), "d4", "d5", "d6"]
    assert dict(ranking[:3]) == pytest.approx(scores, abs=1e-5)
    assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)
    assert len({score for _, score in ranking}) == 6
    assert list(run.rankings) == ["1", "10", "2"]
    assert run.name == str(ranker.composition)


def test_reranking_uses_the_fields_asked_for(ranker: Ranker, collection: Collection) -> None:
    runs = [ranker.rerank(CANDIDATES, collection, **LANGUAGES, fields=fields) for fields in ("title", "title+description")]
    assert runs[0].scores() != runs[1].scores()


@pytest.mark.parametrize(
    ("topic", "document", "problem"),
    [
        ("1", "d99", "document 'd99' is not in collection"),
        ("7", "d1", "has no results for any topic asked for: its topics are 7"),
        ("1", "g1", "document 'g1' is not in collection"),
    ],
)
def test_a_run_of_another_collection_is_refused(
    ranker: Ranker, collection: Collection, topic: str, document: str, problem: str
) -> None:
    run = Run.of("theirs", {topic: {document: 1.0}})
    with pytest.raises(XlrankError, match=f"run 'theirs':? {problem}"):
        ranker.rerank(run, collection, **LANGUAGES)


def test_topics_of_another_collection_are_left_out_and_said(ranker: Ranker, collection: Collection) -> None:
    more = Run.of("dense", {**CANDIDATES.scores(), "7": {"d1": 1.0}, "C8": {"elsewhere": 1.0}})
    found = ranker.rerank(more, collection, **LANGUAGES)
    assert found.rankings == ranker.rerank(CANDIDATES, collection, **LANGUAGES).rankings
    assert found.metadata == {"notes": ["topics that are not in the collection, left out: 2 (7, C8)"]}


def test_a_hit_is_printed_in_one_short_line(ranker: Ranker) -> None:
    hit = ranker.rank("суу", [Document("d7", "мектеп\nжана " * 200, "Дарыя")], languages=("ky", "en"))[0]
    line = f"Hit(rank=1, score={hit.score:.4f}, Document('d7', 'Дарыя. мектеп жана мектеп жана мектеп жана мектеп жана…'))"
    assert repr(hit) == str(hit) == line


def test_merging_keeps_an_unscored_topic_in_its_old_order() -> None:
    run = Run.of("x", {"1": {"a": 3.0, "b": 2.0}, "2": {"c": 9.0, "d": 8.0}})
    merged = merge(run, [("1", "b")], np.array([-5.0], np.float32), "new")
    assert [d for d, _ in merged.rankings["1"]] == ["b", "a"]
    assert [d for d, _ in merged.rankings["2"]] == ["c", "d"]
    assert merged.name == "new"


def test_the_tail_stays_below_however_large_the_scores() -> None:
    run = Run.of("x", {"1": {name: -float(i) for i, name in enumerate("zyxwv")}})
    merged = merge(run, [("1", "z")], np.array([3e9], np.float32), "new")
    assert [d for d, _ in merged.rankings["1"]] == list("zyxwv")


def test_progress_reaches_the_end(ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.ranking.cross.BATCH_TOKENS", 40)
    seen: list[tuple[int, int]] = []
    ranker.score(PAIRS, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 3
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (len(PAIRS), len(PAIRS))


def test_an_interrupted_call_continues_with_the_same_scores(
    ranker: Ranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlrank.ranking.cross.BATCH_TOKENS", 40)
    expected = ranker.score(PAIRS)

    def interrupted(done: int, total: int) -> None:
        if 2 * done > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranker.score(PAIRS, journal=Journal(tmp_path / "j"), progress=interrupted)
    batches = len(Journal(tmp_path / "j").done)
    assert batches > 1
    again, calls = with_precision(ranker, "fp32"), 0
    call = CrossEncoder._outputs

    def counting(encoder: CrossEncoder, batch: Batch) -> Output:
        nonlocal calls
        calls += 1
        return call(encoder, batch)

    monkeypatch.setattr(CrossEncoder, "_outputs", counting)
    journal = Journal(tmp_path / "j")
    np.testing.assert_array_equal(again.score(PAIRS, journal=journal), expected)
    assert 0 < calls == len(journal.done) - batches


def test_precisions(ranker: Ranker) -> None:
    exact = ranker.score(PAIRS)
    np.testing.assert_allclose(with_precision(ranker, "auto").score(PAIRS), exact, atol=1e-6)
    for precision, tolerance in (("bf16", 0.1), ("int8", 0.1)):
        scores = with_precision(ranker, precision).score(PAIRS)
        assert scores.dtype == np.float32
        assert 0 < np.abs(scores - exact).max() < tolerance * (exact.max() - exact.min()), precision
        assert np.corrcoef(scores, exact)[0, 1] > 0.99


def test_int8_takes_full_modules_and_leaves_the_base(tiny_base: Base) -> None:
    module = make_ranking(tiny_base, 5, "full")
    exact, coarse = (Ranker(tiny_base, module, precision=precision).score(PAIRS) for precision in ("fp32", "int8"))
    assert np.corrcoef(exact, coarse)[0, 1] > 0.98
    np.testing.assert_array_equal(Ranker(tiny_base, module, precision="fp32").score(PAIRS), exact)


def test_an_unknown_precision_is_refused(ranker: Ranker) -> None:
    with pytest.raises(XlrankError, match="unknown precision 'fp8'; expected auto, fp32, bf16 or int8"):
        with_precision(ranker, "fp8").score(PAIRS)


def test_automatic_precision_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for gain, answer in ((1.19, "fp32"), (1.2, "bf16")):
        monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / answer))
        monkeypatch.setattr("xlrank.precision._bf16_gain", lambda gain=gain: gain)
        assert resolve_precision() == answer
        monkeypatch.setattr("xlrank.precision._bf16_gain", lambda: math.nan)
        assert resolve_precision("auto") == answer
    assert [resolve_precision(name) for name in ("fp32", "bf16", "int8")] == ["fp32", "bf16", "int8"]
    assert [torch_dtype(name) for name in ("fp32", "bf16", "int8")] == [torch.float32, torch.bfloat16, torch.float32]


def test_a_head_with_two_labels_scores_the_log_odds(ranker: Ranker) -> None:
    rank = list(ranker.composition.leaves())[-1].loaded()
    out = rank.tensors["head.out.weight"]
    both = {"head.out.weight": torch.cat([-out, out]), "head.out.bias": torch.tensor([1.0, 3.0])}
    two = changed_module(rank, {**rank.tensors, **both})
    below = ranker.composition.stages()[0]
    expected = 2 * (ranker.score(PAIRS) - rank.tensors["head.out.bias"].item()) + 2
    np.testing.assert_allclose(Ranker(ranker.base, below + two, precision="fp32").score(PAIRS), expected, atol=1e-5)


def test_masks_and_loras_rank(tiny_base: Base, ranker: Ranker) -> None:
    rank = list(ranker.composition.leaves())[-1].loaded()
    mask, mask2 = make_mask(tiny_base, "ky", 5), make_mask(tiny_base, "en", 6)
    lora, lora2 = make_lora(tiny_base, "ky", 7), make_lora(tiny_base, "en", 8)
    rankers = [
        tiny_base + xlrank.composition.both(query=mask, document=mask2) + rank,
        tiny_base + xlrank.split(query=lora, document=lora2) + rank,
        tiny_base + mask + lora + rank,
    ]
    scores = [ranker.score(PAIRS), *(other.score(PAIRS) for other in rankers)]
    assert all(np.abs(one - other).max() > 0.01 for i, one in enumerate(scores) for other in scores[:i])
    for other, expected in zip(rankers, scores[1:], strict=True):
        for pair, score in zip(PAIRS[::5], expected[::5], strict=True):
            np.testing.assert_allclose(other.score([pair])[0], score, atol=1e-5)


def test_a_composition_without_a_ranking_module_cannot_score(tiny_base: Base) -> None:
    ky = make_adapter(tiny_base, "ky", 1)
    with pytest.raises(XlrankError, match=r"'language/ky': nothing in it scores relevance; add a ranking module, e\.g\."):
        (tiny_base + ky).score(PAIRS)


def test_a_ranker_refuses_foreign_modules_and_names(tiny_base: Base, tiny_xlmr_base: Base) -> None:
    with pytest.raises(XlrankError, match="was made for base"):
        Ranker(tiny_xlmr_base, make_ranking(tiny_base, 1))
    for composition in (parse("mlm/ky+cross"), "mlm/ky+cross"):
        with pytest.raises(XlrankError, match="module 'mlm/ky' was made for base 'xlrank/e5-small'"):
            Ranker(tiny_base, composition)
    with pytest.raises(XlrankError, match="expected a module or a composition, got int"):
        Ranker(tiny_base, 3)  # type: ignore[arg-type]
