"""Objectives of language modules: each learns, sums take turns, runs resume to the same bits, and the record says what was."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.conftest import WORDS, composed_states, make_head, make_ranking
from tests.training.test_language import interrupt_after
from xlrank.bases import Base
from xlrank.cli.train import app
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.late import LateSettings
from xlrank.training.data.parallel import Pair, Pairs
from xlrank.training.language import LanguageData, train_language, usual_run
from xlrank.training.loop import Settings
from xlrank.training.model_card import model_card
from xlrank.training.objectives import objectives_named
from xlrank.training.objectives.align import Align
from xlrank.training.objectives.sides import Encoders, Framer, Vectors, contrast, distance
from xlrank.training.objectives.turns import Batches
from xlrank.training.recipes import LoraRecipe, MaskRecipe

SETTINGS = Settings(steps=6, batch=8, rate=2e-2, save_every=99, precision="fp32", warmup=0.0)
ENGLISH, KYRGYZ = WORDS[:13], WORDS[15:28]
FILES = {"mlm": "texts", "align": "parallel", "ict": "documents"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))  # where interrupted runs leave their checkpoints


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, text: Path) -> dict[str, Path]:
    """A small file for each objective: words for words, and articles that each keep to a few words."""
    folder, choice = tmp_path_factory.mktemp("objectives"), random.Random(1)
    numbers = [[choice.randrange(13) for _ in range(choice.randint(3, 8))] for _ in range(60)]
    rows = [" ".join(KYRGYZ[i] for i in row) + "\t" + " ".join(ENGLISH[i] for i in row) for row in numbers]
    (folder / "pairs.tsv").write_text("".join(f"{'ab'[i % 2]}\t{row}\n" for i, row in enumerate(rows)), encoding="utf-8")
    articles = []
    for _ in range(24):
        topic = choice.sample(KYRGYZ, 3)
        articles.append(". ".join(" ".join(choice.choices(topic, k=7)).capitalize() for _ in range(8)) + ".")
    lines = [json.dumps({"title": "", "text": article}, ensure_ascii=False) for article in articles]
    (folder / "articles.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"mlm": text, "align": folder / "pairs.tsv", "ict": folder / "articles.jsonl"}


def learned(base: Base, files: dict[str, Path], objectives: str, **options: Any) -> Module:  # noqa: ANN401
    given: dict[str, Any] = {FILES[name]: [files[name]] for name in objectives.split("+") if name in FILES}
    data = LanguageData(**given)
    usual: dict[str, Any] = {"settings": SETTINGS, "length": 16, "head": make_head(base, 4), "licence": "CC0"}
    return train_language("ky", data, base=base, objectives=objectives, **usual | options)


@pytest.mark.parametrize("objectives", ["align", "ict", "mlm+hold"])
def test_each_objective_learns(tiny_base: Base, files: dict[str, Path], objectives: str) -> None:
    record = learned(tiny_base, files, objectives).training
    assert record["heldout_loss"] < record["heldout_loss_before"]
    assert record["objectives"] == objectives.split("+")
    assert record["settings"]["batch"] == 8


def pooled(base: Base, module: Module | None, texts: Sequence[str]) -> torch.Tensor:
    from xlrank.composition import Leaf, Stack
    from xlrank.composition.compose import compose

    framer, parts = Framer(base, LateSettings()), () if module is None else (Leaf(module.name, module),)
    encoders = Encoders(base, compose(base, Stack(parts)))
    with torch.no_grad():
        return encoders.learnt(framer.tensors("text", "query", texts), "text").pooled


@pytest.mark.parametrize("objectives", ["ict", "mlm"])
def test_hold_keeps_vectors_nearer(tiny_base: Base, files: dict[str, Path], objectives: str) -> None:
    texts = files["mlm"].read_text(encoding="utf-8").splitlines()[:20]
    own = pooled(tiny_base, None, texts)
    near = [
        float((own * pooled(tiny_base, learned(tiny_base, files, name), texts)).sum(-1).mean())
        for name in (objectives, objectives + "+hold")
    ]
    assert near[1] > near[0] + 0.01


def test_sums_take_turns(tiny_base: Base, files: dict[str, Path], tmp_path: Path) -> None:
    module = learned(tiny_base, files, "align+ict+mlm+hold")
    record = module.training
    assert record["seen"] == {"pairs": 16, "articles": 16, "tokens": 2 * 8 * 16}
    assert set(record["heldout_losses"]) == {"align", "ict", "mlm"}
    assert record["pivot"] == "en"
    assert record["pairs"] == {"a": 30, "b": 30}
    assert record["articles"] == 24
    assert [file["name"] for file in record["data"]] == ["ky.txt", "pairs.tsv", "articles.jsonl"]
    assert all(len(file["sha256"]) == 64 for file in record["data"])
    assert record["licence"] == "CC0"
    saved = Module.load(module.save(tmp_path / "ky"))
    assert saved == module
    states = [composed_states(tiny_base, c, [("суу", "дарыя")]) for c in (saved + make_ranking(tiny_base, 1),)]
    assert torch.isfinite(states[0]).all()


@pytest.mark.parametrize("objectives", ["align+ict+hold", "mlm+align"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tiny_base: Base, files: dict[str, Path], objectives: str) -> None:
    settings = replace(SETTINGS, steps=5, save_every=1)
    whole = learned(tiny_base, files, objectives, settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            learned(tiny_base, files, objectives, settings=settings)
    resumed = learned(tiny_base, files, objectives, settings=settings)
    assert resumed.training["resumed"] == [2]
    assert all(torch.equal(resumed.tensors[name], tensor) for name, tensor in whole.tensors.items())
    assert resumed.training["heldout_losses"] == whole.training["heldout_losses"]


@pytest.mark.parametrize("recipe", [LoraRecipe(rank=2), MaskRecipe(entries=200, like_reduction_factor=None)])
def test_other_kinds_learn_too(tiny_base: Base, files: dict[str, Path], recipe: Any) -> None:  # noqa: ANN401
    module = learned(tiny_base, files, "align", recipe=recipe)
    assert module.kind in ("lora", "mask")
    assert module.training["heldout_loss"] < module.training["heldout_loss_before"]


def test_the_usual_adapter(tiny_base: Base, files: dict[str, Path]) -> None:
    module = learned(tiny_base, files, "align", settings=replace(SETTINGS, steps=1))
    assert module.config == AdapterConfig(reduction_factor=4).as_dict()
    assert usual_run(["mlm"]).steps == 1000


def aligning(base: Base, pairs: Sequence[Pair]) -> Align:
    encoders = Encoders(base, ComposedEncoder(base))
    return Align(encoders, Framer(base, LateSettings()), Pairs(pairs, pairs[:4], {}), 0.02)


def test_pairs_are_drawn_by_weight_and_none_twice(tiny_base: Base) -> None:
    pairs = [Pair(f"т{i}", f"p{i // 2}", "s", 9.0 if i < 10 else 0.1) for i in range(100)]
    align = aligning(tiny_base, pairs)
    draws = [align.draw(0, 4, np.random.default_rng([1, seed])) for seed in range(200)]
    assert all(len({pair.pivot for pair in draw.pairs}) == 4 for draw in draws)
    heavy = np.mean([pair.weight > 1 for draw in draws for pair in draw.pairs])
    assert heavy > 0.8
    assert np.mean([draw.side == "document" for draw in draws]) == pytest.approx(0.25, abs=0.08)
    assert draws == [align.draw(7, 4, np.random.default_rng([1, seed])) for seed in range(200)]
    few = aligning(tiny_base, pairs[:3]).draw(0, 8, np.random.default_rng(1))
    assert {pair.pivot for pair in few.pairs} == {"p0", "p1"}


def test_the_roles_of_the_sides(tiny_base: Base) -> None:
    """The loss by hand: as queries the texts look for translations, as documents they are found by them."""
    align = aligning(tiny_base, [Pair("дарыя суу", "river water", "s", 1.0), Pair("кыш", "winter", "s", 1.0)])
    framer, encoders = align.framer, align.encoders
    for draw in (align.heldout(1)[0], replace(align.heldout(2)[0], side="document")):
        batch = align.collate(draw)
        other = "document" if draw.side == "query" else "query"
        texts, pivots = [pair.text for pair in draw.pairs], [pair.pivot for pair in draw.pairs]
        vectors = {}
        for name, side, those in (("text", draw.side, texts), ("same", draw.side, pivots), ("other", other, pivots)):
            vectors[name] = encoders.frozen(framer.tensors("x", side, those), "x")  # type: ignore[arg-type]
        queries, documents = [vectors[name] for name in (("text", "other") if draw.side == "query" else ("other", "text"))]
        terms = contrast(queries, documents, torch.arange(len(texts)), 0.02)
        expected = 10 * distance(vectors["text"], vectors["same"]) + sum(terms)
        torch.testing.assert_close(align(batch), expected)


def test_batches_depend_on_seed_and_place_alone(tiny_base: Base, files: dict[str, Path]) -> None:
    align = aligning(tiny_base, [Pair(f"т{i}", f"p{i}", "s", 1.0) for i in range(30)])

    def first(seed: int) -> list[Any]:
        return [batch for _, batch in zip(range(4), Batches([align], 4, seed), strict=False)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_contrast_by_hand() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)), dim=-1)
    ones = torch.ones(2, 3)
    one = Vectors(vectors, ones, vectors[:, 0])
    by_tokens, by_pooled = contrast(one, one, torch.arange(2), 0.5)
    scores = torch.stack([torch.stack([(q @ d.T).max(1).values.mean() for d in vectors]) for q in vectors]) / 0.5
    torch.testing.assert_close(by_tokens, -(scores.log_softmax(1).diagonal().mean()))
    torch.testing.assert_close(by_pooled, -((one.pooled @ one.pooled.T / 0.5).log_softmax(1).diagonal().mean()))


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("align+hold", "align has its own target"),
        ("hold", "nothing is learnt"),
        ("mlm+mlm", "comes twice"),
        ("clm", "expected one of mlm, align, ict, hold"),
        ("", "expected one of"),
    ],
)
def test_objectives_that_make_no_sense(objectives: str, message: str) -> None:
    with pytest.raises(XlrankError, match=message):
        objectives_named(objectives)


def test_files_and_objectives_must_go_together(tiny_base: Base, files: dict[str, Path]) -> None:
    for data, objectives, message in (
        (LanguageData(), "mlm", "mlm learns from plain text; name files with --text"),
        (LanguageData(), "align", "name files with --parallel"),
        (LanguageData(), "ict", "name files with --documents"),
        (LanguageData([files["mlm"]], [files["align"]]), "mlm", "is for the objective align"),
        (LanguageData([files["mlm"]], weights={"a": 1.0}), "mlm", "--weight is of sentence pairs"),
    ):
        with pytest.raises(XlrankError, match=message):
            train_language("ky", data, base=tiny_base, settings=SETTINGS, objectives=objectives)


def test_the_command(tiny_bert_folder: Path, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["language", "--lang", "kir", "--objective", "align+ict+hold", "--parallel", str(files["align"]), "--documents"]
    words += [str(files["ict"]), "--weight", "a=2", "--base", str(tiny_bert_folder), "--steps", "2", "--batch", "4"]
    result = CliRunner().invoke(app, [*words, "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    module = Module.load(out)
    assert module.language == "ky"
    assert module.training["weights"] == {"a": 2.0}
    assert module.training["settings"]["rate"] == 5e-4
    assert module.training["settings"]["warmup"] == 0.125
    assert "sentence pairs" in (out / "README.md").read_text(encoding="utf-8")


def test_cards_say_how_a_module_was_trained(tiny_base: Base, files: dict[str, Path]) -> None:
    card = model_card(learned(tiny_base, files, "align+ict+hold", settings=replace(SETTINGS, steps=1)))
    assert "masked language modelling" not in card
    assert "English" in card
    assert "| pairs: a | 30 |" in card
