"""Rankers whose composition leaves languages open: told by the call, mixed in one call, served by stand-ins."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_adapter, make_batch, make_mask, make_ranking
from xlrank.bases import Base
from xlrank.collections import Document
from xlrank.composition import both, split
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.ranking import Journal, Ranker
from xlrank.ranking.cross import CrossEncoder

PAIRS = [
    ("дарыя", "the river and the bridge of the market"),
    ("мектеп жана суу кыш", "a school"),
    ("алма базар", "apple market"),
    ("шайлоо", "the election in the school and the market in winter"),
    ("кыш", "water"),
    ("су ве", "water of the river"),
]
LANGUAGES = [("ky", "en"), ("ug", "en"), ("ky", "en"), ("en", "ky"), ("ug", "ug"), ("ky", "en")]
SPLIT = "split(query,document)+rank"


@pytest.fixture
def rank(tiny_base: Base) -> Module:
    return make_ranking(tiny_base, 9)


@pytest.fixture
def adapters(tiny_base: Base, rank: Module, tmp_path: Path) -> dict[str, str]:
    made = {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "ug", "en"))}
    return {name: str(module.save(tmp_path / name)) for name, module in {**made, "rank": rank}.items()}


@pytest.fixture
def masks(tiny_base: Base, rank: Module, tmp_path: Path) -> dict[str, str]:
    made = {code: make_mask(tiny_base, code, seed) for seed, code in enumerate(("ky", "ug", "en"))}
    return {name: str(module.save(tmp_path / "masks" / name)) for name, module in {**made, "rank": rank}.items()}


def ranker(base: Base, composition: str, modules: dict[str, str]) -> Ranker:
    return Ranker(base, composition, precision="fp32", modules=modules)


def one_by_one(base: Base, composition: str, modules: dict[str, str]) -> list[float]:
    """Each pair scored by a new ranker of its own languages."""
    scores = []
    for pair, languages in zip(PAIRS, LANGUAGES, strict=True):
        closed = ranker(base, composition, modules).composition_for(languages)
        scores.append(float(Ranker(base, closed, precision="fp32").score([pair])[0]))
    return scores


@pytest.mark.parametrize("composition", [SPLIT, "query+rank", "document+rank", "noinv(query)+rank", "rank"])
def test_one_call_mixes_languages(tiny_base: Base, adapters: dict[str, str], composition: str) -> None:
    scores = ranker(tiny_base, composition, adapters).score(PAIRS, languages=LANGUAGES)
    np.testing.assert_allclose(scores, one_by_one(tiny_base, composition, adapters), atol=1e-5)


@pytest.mark.parametrize("composition", ["query+rank", "document+rank", "both(query,document)+rank"])
def test_masks_of_several_languages_are_ranked_in_turn(tiny_base: Base, masks: dict[str, str], composition: str) -> None:
    open_ranker = ranker(tiny_base, composition, masks)
    scores = open_ranker.score(PAIRS, languages=LANGUAGES)
    np.testing.assert_allclose(scores, one_by_one(tiny_base, composition, masks), atol=1e-5)
    np.testing.assert_array_equal(open_ranker.score(PAIRS, languages=LANGUAGES), scores)


def test_languages_come_and_go(tiny_base: Base, adapters: dict[str, str]) -> None:
    open_ranker = ranker(tiny_base, SPLIT, adapters)
    for languages in [("ky", "en"), ("ug", "en"), ("ky", "en"), ("en", "ug")]:
        alone = Ranker(tiny_base, open_ranker.composition_for(languages), precision="fp32")
        np.testing.assert_allclose(open_ranker.score(PAIRS, languages=languages), alone.score(PAIRS), atol=1e-5)
    assert isinstance(open_ranker.interaction, CrossEncoder)
    assert len(open_ranker.interaction.shared.resident) == 3, "languages stay once they were needed"


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_switch_as_well(tiny_base: Base, adapters: dict[str, str], precision: str) -> None:
    open_ranker = Ranker(tiny_base, SPLIT, precision=precision, modules=adapters)  # type: ignore[arg-type]
    exact = ranker(tiny_base, SPLIT, adapters)
    for languages in [("ky", "en"), ("ug", "en"), ("ky", "en")]:
        wanted = exact.score(PAIRS, languages=languages)
        np.testing.assert_allclose(open_ranker.score(PAIRS, languages=languages), wanted, atol=0.1 * float(np.ptp(wanted)))


def test_operators_build_open_rankers(tiny_base: Base, adapters: dict[str, str], rank: Module) -> None:
    built = tiny_base + split(query="query", document="document") + rank
    assert built.is_open
    assert str(built.composition) == "split(query,document)+ranking/en"
    assert not ranker(tiny_base, "ky+rank", adapters).is_open
    assert str((ranker(tiny_base, "query", adapters) + "rank").composition) == "query+rank"


def test_ranking_documents_of_several_languages(tiny_base: Base, adapters: dict[str, str]) -> None:
    documents = [Document("a", "the river"), Document("b", "дарыя жана суу"), Document("c", "the market")]
    languages = [("ug", "en"), ("ug", "ky"), ("ug", "en")]
    open_ranker = ranker(tiny_base, SPLIT, adapters)
    hits = open_ranker.rank("шайлоо", documents, languages=languages)
    scores = open_ranker.score([("шайлоо", document.text) for document in documents], languages=languages)
    assert {hit.document.id: hit.score for hit in hits} == pytest.approx(dict(zip("abc", map(float, scores), strict=True)))


def test_an_interrupted_call_over_languages_continues(
    tiny_base: Base, masks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xlrank.ranking.cross.BATCH_TOKENS", 40)
    expected = ranker(tiny_base, "query+rank", masks).score(PAIRS, languages=LANGUAGES)

    def interrupted(done: int, total: int) -> None:
        if 2 * done > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranker(tiny_base, "query+rank", masks).score(
            PAIRS, languages=LANGUAGES, journal=Journal(tmp_path / "j"), progress=interrupted
        )
    again = ranker(tiny_base, "query+rank", masks).score(PAIRS, languages=LANGUAGES, journal=Journal(tmp_path / "j"))
    np.testing.assert_array_equal(again, expected)


def test_what_stands_in_is_printed(tiny_base: Base, adapters: dict[str, str]) -> None:
    for rule, printed in (("nearest", "split(uz~ug,en)+rank"), ("average", "split(kk~ky,en)+rank")):
        open_ranker = Ranker(tiny_base, SPLIT, modules=adapters, stand_in=rule)  # type: ignore[arg-type]
        assert str(open_ranker.composition_for((printed[6:8], "en"))) == printed


def test_languages_are_needed_and_checked(tiny_base: Base, adapters: dict[str, str]) -> None:
    open_ranker = ranker(tiny_base, SPLIT, adapters)
    with pytest.raises(
        XlrankError, match=r'split\(query,document\)\+rank: it leaves languages open; give languages=\("ky", "en"\)'
    ):
        open_ranker.score(PAIRS)
    with pytest.raises(XlrankError, match="languages of 2 pairs for 6; give one pair of languages for each, or one"):
        open_ranker.score(PAIRS, languages=LANGUAGES[:2])
    with pytest.raises(XlrankError, match="unknown language 'xx'; expected an ISO 639 code"):
        open_ranker.score(PAIRS, languages=("xx", "en"))
    with pytest.raises(XlrankError, match="stand-in rule 'best': expected one of nearest, average"):
        Ranker(tiny_base, SPLIT, stand_in="best")  # type: ignore[arg-type]
    with pytest.raises(XlrankError, match="only masks and LoRAs can be added up"):
        (tiny_base + both(query=make_adapter(tiny_base, "ky", 1), document=make_adapter(tiny_base, "en", 2))).score(PAIRS)


def test_reference_mode_ranks_as_the_original(tiny_base: Base, adapters: dict[str, str], masks: dict[str, str]) -> None:
    """One side's invertible adapter in splits, and one mask on both sides counted twice."""
    for modules, composition in ((adapters, SPLIT), (masks, "both(query,document)+rank")):
        ours, original = (
            Ranker(tiny_base, composition, precision="fp32", modules=modules, reference=reference) for reference in (False, True)
        )
        for languages in [("ky", "en"), ("ug", "ug"), ("ky", "ky")]:
            closed = original.composition_for(languages)
            expected = CrossEncoder(tiny_base, reference=True).outputs(make_batch(tiny_base, PAIRS), closed).logits[:, 0]
            np.testing.assert_allclose(original.score(PAIRS, languages=languages), expected, atol=1e-5)
        mixed = original.score(PAIRS, languages=LANGUAGES)
        alone = [float(original.score([p], languages=each)[0]) for p, each in zip(PAIRS, LANGUAGES, strict=True)]
        np.testing.assert_allclose(mixed, alone, atol=1e-5)
        assert np.abs(mixed - ours.score(PAIRS, languages=LANGUAGES)).max() > 1e-3
