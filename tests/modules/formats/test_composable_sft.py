import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.modules import Module
from xlrank.modules.formats.composable_sft import _integer, _IntegerType, column_to_row_major, read, row_to_column_major, write

from .sft_files import FILE, QUERY, SHAPES, classifier, dense_diffs, entry, save, sparse
from .tiny import HIDDEN, WORDS, made, make_bert, make_xlmr, random


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bare"), pooler=False)


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_xlmr(tmp_path_factory.mktemp("xlmr"))


def decoded(module: Module, name: str) -> Tensor:
    dense = torch.zeros(math.prod(SHAPES[name]))
    index = module.tensors[f"index.{name}"]
    assert index.dtype == torch.int32 and bool((index[1:] > index[:-1]).all())
    dense[index] = module.tensors[f"value.{name}"]
    return dense.view(SHAPES[name])


@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_reads_positions_down_the_columns(tmp_path: Path, base: Base, prefix: str) -> None:
    dense = dense_diffs(prefix)
    empty = entry(torch.zeros(HIDDEN))
    assert empty["index_steps"] == []
    diffs = {name: entry(tensor) for name, tensor in dense.items()} | {prefix + "embeddings.LayerNorm.bias": empty}
    module = read(save(tmp_path / "sft", diffs, classifier()), base, role="ranking")
    assert all(torch.equal(decoded(module, name.removeprefix(prefix)), tensor) for name, tensor in dense.items())
    assert len(module.tensors) == 2 * len(dense) + 2  # an empty entry leaves its parameter untouched
    assert torch.equal(module.tensors["head.out.weight"], classifier()["classifier.weight"])
    assert (module.kind, module.role, module.config) == ("mask", "ranking", {"pooling": "cls"})
    assert module.name == str(tmp_path / "sft") and module.base.fingerprint == base.fingerprint


def test_row_and_column_major_are_inverses() -> None:
    for shape in ((5,), (3, 4), (2, 3, 4)):
        positions = np.arange(math.prod(shape))
        rows = column_to_row_major(positions, shape)
        assert torch.equal(
            torch.arange(math.prod(shape)).view(shape).permute(*range(len(shape))[::-1]).flatten(), torch.tensor(rows)
        )
        assert (row_to_column_major(rows, shape) == positions).all()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("constructor", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint64, np.uint32])
def test_reads_numbers_of_any_numpy(
    tmp_path: Path, base: Base, legacy: bool, constructor: bytes, kind: type[np.integer[Any]]
) -> None:
    dense = dense_diffs()
    diffs = {name: entry(tensor) for name, tensor in dense.items()}
    for part in diffs.values():
        part["index_steps"] = [kind(step) for step in part["index_steps"]]
    buffer = io.BytesIO()
    torch.save({"diffs": diffs, "abs": {}}, buffer, _use_new_zipfile_serialization=False)
    content = buffer.getvalue().replace(b"numpy._core.multiarray", constructor)
    (tmp_path / FILE).write_bytes(content)
    if not legacy:
        save(tmp_path, diffs)
    module = read(tmp_path, base, role="language", language="ky", name="ky")
    assert all(torch.equal(decoded(module, name.removeprefix("bert.")), tensor) for name, tensor in dense.items())
    assert (module.name, module.language, module.config) == ("ky", "ky", {})


def test_reads_numbers_of_either_byte_order() -> None:
    for order, numpy_order in (("little", "<"), ("big", ">")):
        kind = _IntegerType("i4", False, True)
        kind.__setstate__((3, numpy_order, None, None, None, -1, -1, 0))
        assert _integer(kind, (-5).to_bytes(4, order, signed=True)) == -5  # type: ignore[arg-type]


def test_reads_a_language_mask_with_its_prediction_head(tmp_path: Path, base: Base, xlmr: Base) -> None:
    head = {"cls.predictions.bias": random(WORDS), "cls.predictions.transform.dense.weight": random(HIDDEN, HIDDEN)}
    module = read(save(tmp_path, {}, head | {"bert.pooler.dense.bias": random(HIDDEN)}), base, role="language")
    assert set(module.tensors) == {f"absolute.{name}" for name in (*head, "pooler.dense.bias")}
    head = {"lm_head.bias": random(WORDS), "lm_head.layer_norm.weight": random(HIDDEN)}
    module = read(save(tmp_path, {}, head), xlmr, role="language")
    assert set(module.tensors) == {f"absolute.{name}" for name in head}


def test_half_precision_becomes_float32(tmp_path: Path, base: Base) -> None:
    part = entry(sparse(SHAPES[QUERY], 3).half())
    module = read(save(tmp_path, {QUERY: part}), base, role="language")
    assert module.tensors[f"value.{QUERY}"].dtype == torch.float32


@pytest.mark.parametrize("architecture", ["bert", "bare", "xlmr"])
def test_writes_what_the_library_and_we_read(tmp_path: Path, base: Base, bare: Base, xlmr: Base, architecture: str) -> None:
    on, prefix = {"bert": (base, "bert."), "bare": (bare, "bert."), "xlmr": (xlmr, "roberta.")}[architecture]
    diffs = {name: entry(tensor) for name, tensor in dense_diffs(prefix).items()}
    absolute = classifier(2) | {"bert.pooler.dense.weight": random(HIDDEN, HIDDEN), "bert.pooler.dense.bias": random(HIDDEN)}
    if architecture == "xlmr":
        absolute = classifier(HIDDEN, "classifier.dense") | classifier(1, "classifier.out_proj") | {"lm_head.bias": random(WORDS)}
    module = read(save(tmp_path / "in", diffs, absolute), on, role="ranking", name="mask")
    write(module, tmp_path / "out", on)
    assert read(tmp_path / "out", on, role="ranking", name="mask").digest == module.digest
    written = torch.load(tmp_path / "out" / FILE, weights_only=True)  # no numpy in it
    assert written["diffs"].keys() == diffs.keys() and written["abs"].keys() == absolute.keys()
    for name, part in diffs.items():
        assert written["diffs"][name]["index_steps"] == part["index_steps"]
        assert written["diffs"][name]["size"] == part["size"]
        assert torch.equal(written["diffs"][name]["values"], part["values"])
    assert all(torch.equal(written["abs"][name], tensor) for name, tensor in absolute.items())


def test_writing_gives_a_head_of_two_layers_bert_s_pooler(tmp_path: Path, base: Base) -> None:
    tensors = {"head.dense.weight": random(HIDDEN, HIDDEN), "head.dense.bias": random(HIDDEN)}
    tensors |= {"index.pooler.dense.bias": torch.tensor([1]), "value.pooler.dense.bias": torch.ones(1)}
    tensors |= {name.replace("classifier", "head.out"): tensor for name, tensor in classifier().items()}
    module = made(base, tensors, "mask")
    write(module, tmp_path, base)
    again = read(tmp_path, base, role="ranking")
    assert torch.equal(again.tensors["absolute.pooler.dense.weight"], tensors["head.dense.weight"])
    assert "index.pooler.dense.bias" not in again.tensors
