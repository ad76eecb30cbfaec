import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import BaseReference, Module
from xlrank.modules.formats.adapterhub import read
from xlrank.modules.formats.adapterhub_writer import write
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter

from . import adapterhub_files as files

HEADS: dict[str, dict[str, tuple[int, ...]]] = {
    "none": {},
    "out": {"head.out.weight": (1, 8), "head.out.bias": (1,)},
    "dense": {"head.dense.weight": (8, 8), "head.dense.bias": (8,), "head.out.weight": (2, 8), "head.out.bias": (2,)},
}


def made(base: Base, head: str = "none", **settings: Any) -> Module:  # noqa: ANN401 - of AdapterConfig
    """A ranking adapter of random tensors."""
    config = AdapterConfig(**{"reduction_factor": 4, **settings})
    tensors: dict[str, Tensor] = dict(Adapter(config, files.HIDDEN, files.LAYERS).state_dict())
    tensors |= {name: torch.empty(shape) for name, shape in HEADS[head].items()}
    return module_of(
        {name: torch.randn(tensor.shape) for name, tensor in tensors.items()}, base, config.as_dict(), head != "none"
    )


def module_of(tensors: Mapping[str, Tensor], base: Base, config: Mapping[str, Any], headed: bool = False) -> Module:
    return Module.create(
        tensors,
        name="models/rank.ing",
        kind="adapter",
        role="ranking",
        language="en",
        base=BaseReference(base.name, base.fingerprint),
        config={**config, **({"pooling": "cls"} if headed else {})},
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"invertible": True, "invertible_reduction_factor": 4, "non_linearity": "gelu"},
        {"attention": True, "original_ln_before": False, "non_linearity": "swish"},
        {"ln_before": True, "ln_after": True, "adapter_residual_before_ln": True, "residual_before_ln": False},
        {"parallel": True, "scaling": 4.0, "original_ln_before": False},
        {"reduction_factor": {"0": 2, "default": 8}, "leave_out": [1], "residual_before_ln": "post_add"},
        {"output": False, "attention": True, "original_ln_after": False},
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, tiny_bert: Base, settings: dict[str, Any]) -> None:
    module = made(tiny_bert, **settings)
    folder = write(module, tmp_path / "rank", tiny_bert)
    again = read(folder, tiny_bert, role="ranking", language="en")
    assert dict(again.config) == dict(module.config)
    assert again == module
    (folder / "adapter.safetensors").unlink()
    assert read(folder, tiny_bert, role="ranking") == module  # the pickled file holds the same


def test_writes_the_librarys_layout(tmp_path: Path, tiny_bert: Base) -> None:
    folder = write(made(tiny_bert, ln_before=True), tmp_path / "a", tiny_bert)
    stored = torch.load(folder / "pytorch_adapter.bin", weights_only=True)
    stem = "bert.encoder.layer.2.output.adapters.rank_ing"
    assert torch.equal(stored[f"{stem}.adapter_norm_before.bias"], stored[f"{stem}.adapter_down.0.bias"])
    card = json.loads((folder / "adapter_config.json").read_text())
    assert (card["name"], card["model_type"], card["hidden_size"]) == ("rank_ing", "bert", 8)
    assert card["model_name"] == "tiny-uncased" and card["version"].startswith("adapters.1.")
    assert card["config"]["ln_before"] is True and card["config"]["inv_adapter"] is None
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.safetensors", "adapter_config.json", "pytorch_adapter.bin"]


@pytest.mark.parametrize(
    ("head", "fixture", "model_class"),
    [
        ("out", "tiny_bert", "BertForSequenceClassification"),
        ("dense", "tiny_bert", "BertAdapterModel"),
        ("dense", "tiny_xlmr", "XLMRobertaForSequenceClassification"),
    ],
)
def test_writes_heads(tmp_path: Path, request: pytest.FixtureRequest, head: str, fixture: str, model_class: str) -> None:
    for_base: Base = request.getfixturevalue(fixture)
    module = made(for_base, head)
    folder = write(module, tmp_path / "rank", for_base, name="rank")
    assert read(folder, for_base, role="ranking", head=True) == module
    (folder / "model_head.safetensors").unlink()
    assert read(folder, for_base, role="ranking", head=True) == module
    assert json.loads((folder / "head_config.json").read_text())["model_class"] == model_class


def test_refuses_what_has_no_form_there(tmp_path: Path, tiny_bert: Base, tiny_xlmr: Base) -> None:
    def refused(module: Module, word: str, for_base: Base = tiny_bert, name: str | None = None) -> None:
        with pytest.raises(XlrankError, match=word):
            write(module, tmp_path / "x", for_base, name=name)
        assert not (tmp_path / "x").exists()

    module = made(tiny_bert)
    refused(module, "was made for base", tiny_xlmr)
    for name in (".", "a.b", "train", "a\nb"):
        refused(module, "adapter name", name=name)
    refused(made(tiny_xlmr, "out"), "its head has no AdapterHub form", tiny_xlmr)
    lacking = dict(made(tiny_bert, "out").tensors)
    del lacking["head.out.bias"]
    refused(module_of(lacking, tiny_bert, module.config, headed=True), "its head")
    mean = made(tiny_bert, "out")
    refused(module_of(mean.tensors, tiny_bert, {**mean.config, "pooling": "mean"}), "its head")
    refused(module_of({**module.tensors, "extra": torch.zeros(1)}, tiny_bert, module.config), "'extra'")
    refused(module_of(module.tensors, tiny_bert, {**module.config, "reduction_factor": 2}), "another shape")
    refused(module_of(module.tensors, tiny_bert, {**module.config, "non_linearity": "prelu"}), "'prelu'")
    head = {key: torch.zeros(shape) for key, shape in HEADS["out"].items()}
    reference = BaseReference(tiny_bert.name, tiny_bert.fingerprint)
    refused(Module.create(head, name="h", kind="head", role="head", language=None, base=reference, config={}), "adapters only")
