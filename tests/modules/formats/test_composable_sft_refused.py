import math
from pathlib import Path

import numpy as np
import pytest
import torch

from xlrank.bases import Base
from xlrank.modules.formats.composable_sft import read, write

from .sft_files import BIAS, FILE, classifier, entry, pooler, save, sparse
from .tiny import HIDDEN, INNER, WORDS, made, make_bert, make_xlmr, refused


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bare"), pooler=False)


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_xlmr(tmp_path_factory.mktemp("xlmr"))


def test_refuses_to_write_what_the_format_cannot_hold(tmp_path: Path, base: Base, xlmr: Base) -> None:
    out = {name.replace("classifier", "head.out"): tensor for name, tensor in classifier().items()}
    with refused("made", "not for"):
        write(made(base, out, "mask"), tmp_path, xlmr)
    with refused("made", "kind 'lora'"):
        write(made(base, {}, "lora"), tmp_path, base)
    with refused("made", "'mean' pooling"):
        write(made(base, out, "mask", pooling="mean"), tmp_path, base)
    with refused("made", "no place for tensor 'x'"):
        write(made(base, {"x": torch.ones(1)}, "mask"), tmp_path, base)
    with refused("made", "head of one layer"):
        write(made(xlmr, out, "mask"), tmp_path, xlmr)
    with refused("made", "lacks its values"):
        write(made(base, {f"index.{BIAS}": torch.tensor([1])}, "mask"), tmp_path, base)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([-1, 1], "do not ascend"),
        ([1, -1], "do not ascend"),
        ([3, 0], "do not ascend"),
        ([0, 0], "do not ascend"),
        ([0, INNER], "leave its 12 values"),
        ([INNER, 1], "leave its 12 values"),
        ([INNER - 1, 1], "leave its 12 values"),
        ([2**63, 1], "leave its 12 values"),
        ([2**62, 2**62], "leave its 12 values"),
        ([0, 2**200], "leave its 12 values"),
        ([0, 1.0], "do not ascend"),
        ([True, 1], "do not ascend"),
        ([0, "1"], "do not ascend"),
        ([0, 1, 1], "3 positions for 2 differences"),
        ([0], "1 positions for 2 differences"),
        (list(range(1, 20)), "19 positions for 2 differences"),
        (torch.tensor([0, 1]), "no entry of 'size', 'index_steps' (a list)"),
        (7, "no entry of 'size', 'index_steps' (a list)"),
    ],
)
def test_refuses_wrong_positions(tmp_path: Path, base: Base, steps: object, problem: str) -> None:
    diffs = {f"bert.{BIAS}": {"size": torch.Size([INNER]), "index_steps": steps, "values": torch.ones(2)}}
    with refused(FILE, f"bert.{BIAS}", problem):
        read(save(tmp_path, diffs), base, role="language")


def test_refuses_more_positions_than_places(tmp_path: Path, base: Base) -> None:
    diffs = {f"bert.{BIAS}": {"size": torch.Size([INNER]), "index_steps": [0] + [1] * INNER, "values": torch.ones(INNER + 1)}}
    with refused("leave its 12 values"):
        read(save(tmp_path, diffs), base, role="language")


@pytest.mark.parametrize("size", [[INNER + 1], [1 << 40], [1 << 20, 1 << 20], [], INNER, None, "12", [float(INNER + 1)]])
def test_refuses_other_sizes(tmp_path: Path, base: Base, size: object) -> None:
    for steps in ([0, 1], []):
        diffs = {BIAS: {"size": size, "index_steps": steps, "values": torch.ones(len(steps))}}
        with refused(BIAS, "is not of size [12]"):
            read(save(tmp_path, diffs), base, role="language")


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([1.0, math.nan]),
        torch.tensor([1.0, math.inf]),
        torch.tensor([1.0, 1e300], dtype=torch.float64),
        torch.ones(2, dtype=torch.int64),
        torch.ones(2, 1),
        torch.ones(1).expand(2),
        [1.0, 2.0],
    ],
)
def test_refuses_values_that_are_no_finite_list(tmp_path: Path, base: Base, values: object) -> None:
    with refused(FILE):
        read(save(tmp_path, {BIAS: {"size": [INNER], "index_steps": [0, 1], "values": values}}), base, role="language")


def test_refuses_parameters_that_the_base_does_not_have(tmp_path: Path, base: Base, bare: Base) -> None:
    part = {"size": [HIDDEN], "index_steps": [1], "values": torch.ones(1)}
    for name in ("bert.encoder.layer.7.output.dense.bias", "cls.predictions.bias", "classifier.bias", "bert.bert." + BIAS):
        with refused(name, "is no parameter of base"):
            read(save(tmp_path, {name: part}), base, role="language")
    with refused("pooler", "is no parameter of base"):
        read(save(tmp_path, {"bert.pooler.dense.bias": part}), bare, role="language")
    nothing = {"size": [HIDDEN], "index_steps": [], "values": torch.ones(0)}
    assert not read(save(tmp_path, {"bert.pooler.dense.bias": nothing}), bare, role="language").tensors


@pytest.mark.parametrize(
    ("absolute", "problem"),
    [
        ({"bert.encoder.layer.9.output.dense.bias": torch.ones(HIDDEN)}, "is no parameter"),
        ({"cls.seq_relationship.bias": torch.ones(2)}, "is no parameter"),
        ({"cls.predictions.bias": torch.ones(WORDS + 1)}, "has shape [31], expected [30]"),
        ({"bert.embeddings.LayerNorm.bias": torch.ones(1)}, "has shape [1], expected [8]"),
        ({"classifier.weight": torch.ones(1, HIDDEN)}, "not a whole head"),
        ({"classifier.weight": torch.ones(1, HIDDEN + 1), "classifier.bias": torch.ones(1)}, "not a whole head"),
        ({"classifier.weight": torch.ones(0, HIDDEN), "classifier.bias": torch.ones(0)}, "not a whole head"),
        (classifier(3), "has 3 labels"),
        ({"classifier.out_proj.weight": torch.ones(1, HIDDEN)}, "is no parameter"),
        ({"classifier.bias": torch.ones(1).long()}, "no list of floating values"),
        ({"classifier.bias": torch.tensor([math.nan])}, "NaN"),
        ({"classifier.bias": 1.0}, "is no tensor"),
        ({1: torch.ones(1)}, "not all named by text"),
        ({"embeddings.LayerNorm.bias": torch.ones(HIDDEN), "bert.embeddings.LayerNorm.bias": torch.ones(HIDDEN)}, "twice"),
        ({BIAS: torch.ones(INNER)}, "both differences and absolute values"),
    ],
)
def test_refuses_absolute_values_that_do_not_fit(tmp_path: Path, base: Base, absolute: object, problem: str) -> None:
    with refused(FILE, problem):
        read(save(tmp_path, {f"bert.{BIAS}": entry(sparse((INNER,), 0))}, absolute), base, role="ranking")


def test_a_head_needs_the_pooler_of_bert(tmp_path: Path, bare: Base, xlmr: Base) -> None:
    with refused("classifier and pooler are not a whole head"):
        read(save(tmp_path, {}, classifier()), bare, role="ranking")
    with refused("not a whole head"):
        read(save(tmp_path, {}, classifier(1, "classifier.out_proj")), xlmr, role="ranking")
    assert len(read(save(tmp_path, {}, classifier(9) | pooler()), bare, role="language").tensors) == 4


def test_refuses_a_parameter_under_two_names(tmp_path: Path, base: Base) -> None:
    part = entry(sparse((INNER,), 0))
    with refused("twice"):
        read(save(tmp_path, {BIAS: part, f"bert.{BIAS}": part}), base, role="language")


@pytest.mark.parametrize("content", [[], {}, {"body": {}}, {"diffs": []}, {"diffs": {"a": 1}}, {"diffs": {}, "abs": 1}, 3])
def test_refuses_other_files(tmp_path: Path, base: Base, content: object) -> None:
    torch.save(content, tmp_path / FILE)
    with refused(FILE, "'"):
        read(tmp_path, base, role="language")


def test_refuses_block_sparse_fine_tunings(tmp_path: Path, base: Base) -> None:
    assert not read(save(tmp_path, {}, block_sparses={}), base, role="language").tensors
    with refused("block_sparses"):
        read(save(tmp_path, {}, block_sparses={"a": torch.ones(1)}), base, role="language")


@pytest.mark.parametrize("number", [np.float64(1), np.str_("x"), np.bool_(True), np.datetime64(1, "s"), np.int16(1)])
def test_refuses_numpy_values_that_are_no_integers(tmp_path: Path, base: Base, number: object) -> None:
    with refused(FILE, "was not loaded"):
        read(save(tmp_path, {BIAS: {"size": [INNER], "index_steps": [number], "values": torch.ones(1)}}), base, role="language")


def test_refuses_numpy_arrays_and_missing_files(tmp_path: Path, base: Base) -> None:
    with refused(FILE, "cannot be read"):
        read(tmp_path, base, role="language")
    with refused(FILE, "_reconstruct"):
        read(save(tmp_path, {BIAS: {"size": [INNER], "index_steps": np.ones(2), "values": torch.ones(2)}}), base, role="language")
