from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xlrank.bases import Base

from . import adapterhub_files as files
from .adapterhub_files import adapter, card, invertible, loaded, refused, same, save, unusual


@pytest.mark.parametrize("file", ["pytorch_adapter.bin", "adapter.safetensors"])
@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_reads_both_files_with_and_without_prefix(tmp_path: Path, tiny_bert: Base, file: str, prefix: str) -> None:
    tensors = adapter(prefix=prefix) | invertible(prefix=prefix)
    module = loaded(save(tmp_path / "rank", tensors, card(files.NICE), file), tiny_bert, language="en")
    stem = f"{prefix}encoder.layer.1.output.adapters.rank"
    assert same(module, "layer.1.down.weight", tensors[f"{stem}.adapter_down.0.weight"])
    assert same(module, "layer.1.up.bias", tensors[f"{stem}.adapter_up.bias"])
    assert same(module, "invertible.G.2.weight", tensors[f"{prefix}invertible_adapters.rank.G.2.weight"])
    assert len(module.tensors) == len(tensors)
    assert module.config["reduction_factor"] == 4 and module.config["invertible"] is True and not unusual(module)
    assert (module.name, module.role, module.language) == (str(tmp_path / "rank"), "ranking", "en")
    assert module.base.fingerprint == tiny_bert.fingerprint
    assert module.training["imported"]["name"] == "rank"


def test_opens_no_pickle_beside_safetensors(tmp_path: Path, tiny_bert: Base) -> None:
    folder = save(tmp_path, adapter(), card(), "adapter.safetensors")
    (folder / "pytorch_adapter.bin").write_bytes(b"cposix\nsystem\n.")
    assert loaded(folder, tiny_bert, name="en").name == "en"


def test_reads_xlm_r_and_other_float_types(tmp_path: Path, tiny_xlmr: Base) -> None:
    tensors = {key: tensor.half() for key, tensor in adapter(prefix="roberta.").items()}
    module = loaded(save(tmp_path, tensors, card(model_type="xlm-roberta")), tiny_xlmr)
    assert {tensor.dtype for tensor in module.tensors.values()} == {torch.float32}


def test_reads_names_that_share_a_beginning(tmp_path: Path, tiny_bert: Base) -> None:
    tensors = adapter("ranker")
    assert loaded(save(tmp_path / "a", tensors, card(name="ranker")), tiny_bert).tensors
    assert loaded(save(tmp_path / "b", tensors, card(name=None)), tiny_bert).training["imported"]["name"] == "ranker"
    module = loaded(save(tmp_path / "c", adapter("rank") | tensors, card(name="rank")), tiny_bert)  # as version 1 saved it
    assert not same(module, "layer.0.up.weight", tensors["bert.encoder.layer.0.output.adapters.ranker.adapter_up.weight"])
    refused(save(tmp_path / "d", tensors, card(name="rank")), tiny_bert, "'rank'", "'ranker'")
    refused(save(tmp_path / "e", adapter("rank") | tensors, card(name="ranker")), tiny_bert, "holds adapter 'rank' beside")
    refused(
        save(tmp_path / "f", adapter("rank") | tensors, card(name=None)), tiny_bert, "exactly one adapter", "'rank', 'ranker'"
    )
    refused(save(tmp_path / "g", {}, card(name=None)), tiny_bert, "exactly one adapter", "none")
    refused(save(tmp_path / "h", tensors, card(name=["rank"])), tiny_bert, "a list of 1")


def test_reads_a_reduction_factor_per_layer_and_layers_left_out(tmp_path: Path, tiny_bert: Base) -> None:
    factors = {"0": 2, "default": 4.0, "17": 3}
    module = loaded(
        save(tmp_path / "a", adapter(sizes=(4, 2, 0)), card({"reduction_factor": factors, "leave_out": [2, 9]})), tiny_bert
    )
    assert module.config["reduction_factor"] == {"0": 2, "default": 4} and module.config["leave_out"] == [2]
    assert "layer.2.down.weight" not in module.tensors
    tiny = loaded(save(tmp_path / "b", adapter(sizes=(1, 1, 1)), card({"reduction_factor": 64})), tiny_bert)
    assert tiny.tensors["layer.0.down.weight"].shape == (1, files.HIDDEN)
    wide = loaded(save(tmp_path / "c", adapter(sizes=(79, 79, 79)), card({"reduction_factor": 0.1})), tiny_bert)  # 8 // 0.1
    assert wide.config["reduction_factor"] == 0.1


def test_reads_houlsby_and_parallel(tmp_path: Path, tiny_bert: Base) -> None:
    settings = {"mh_adapter": True, "original_ln_before": False, "non_linearity": "swish"}
    tensors = adapter(places=("output", "attention.output"))
    module = loaded(save(tmp_path / "a", tensors, card(settings)), tiny_bert)
    assert same(
        module, "attention.2.down.bias", tensors["bert.encoder.layer.2.attention.output.adapters.rank.adapter_down.0.bias"]
    )
    assert unusual(module) == {"attention": True, "original_ln_before": False}
    settings = {"is_parallel": True, "scaling": 4, "residual_before_ln": "post_add"}
    module = loaded(save(tmp_path / "b", adapter(), card(settings)), tiny_bert)
    assert unusual(module) == {"parallel": True, "scaling": 4.0, "residual_before_ln": "post_add"}


@pytest.mark.parametrize("left", ["both", "adapter_norm_before", "adapter_down.0"])
def test_reads_norms_of_its_own(tmp_path: Path, tiny_bert: Base, left: str) -> None:
    tensors = adapter(ln_before=True, ln_after=True)
    dropped = {"both": "-", "adapter_norm_before": "adapter_down.0", "adapter_down.0": "adapter_norm_before"}[left]
    stored = {key: tensor for key, tensor in tensors.items() if dropped not in key}
    settings = {"ln_before": True, "ln_after": True, "adapter_residual_before_ln": True}
    module = loaded(save(tmp_path, stored, card(settings)), tiny_bert)
    stem = "bert.encoder.layer.0.output.adapters.rank"
    assert same(module, "layer.0.norm_before.weight", tensors[f"{stem}.adapter_norm_before.weight"])
    assert same(module, "layer.0.norm_after.bias", tensors[f"{stem}.adapter_norm_after.bias"])
    assert same(module, "layer.0.down.weight", tensors[f"{stem}.adapter_down.1.weight"])
    assert unusual(module) == settings


def test_refuses_norms_stored_with_two_values(tmp_path: Path, tiny_bert: Base) -> None:
    tensors = adapter(ln_before=True)
    key = "bert.encoder.layer.1.output.adapters.rank.adapter_down.0.bias"
    tensors[key] = tensors[key] + 1
    refused(save(tmp_path, tensors, card({"ln_before": True})), tiny_bert, "stored twice")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"hidden_size": 48}, "'hidden_size' is 48"),
        ({"model_type": "xlm-roberta"}, "'xlm-roberta'"),
        ({"model_type": "distilbert"}, "'distilbert'"),
        ({"model_name": "bert-base-multilingual-cased"}, "'bert-base-multilingual-cased'"),
    ],
)
def test_refuses_another_base(tmp_path: Path, tiny_bert: Base, fields: dict[str, Any], word: str) -> None:
    refused(save(tmp_path, adapter(), card(**fields)), tiny_bert, word)


def test_refuses_files_that_are_not_there(tmp_path: Path, tiny_bert: Base) -> None:
    refused(save(tmp_path / "a", adapter()), tiny_bert, "adapter_config.json")
    folder = save(tmp_path / "b", adapter(), card())
    (folder / "pytorch_adapter.bin").unlink()
    refused(folder, tiny_bert, "adapter.safetensors", "pytorch_adapter.bin")
    refused(save(tmp_path / "c", adapter(), {"peft_type": "LORA"}), tiny_bert, "no 'config'", "peft")


STEM = "bert.encoder.layer.1.output.adapters.rank"


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({f"{STEM}.gate.weight": torch.zeros(1, 8)}, "gate.weight"),
        ({f"{STEM}.adapter_norm_after.weight": torch.zeros(8)}, "adapter_norm_after.weight"),
        ({"bert.encoder.layer.3.output.adapters.rank.adapter_up.bias": torch.zeros(8)}, "the base's 3 layers"),
        ({"bert.encoder.layer.1.attention.output.adapters.rank.adapter_up.bias": torch.zeros(8)}, "attention.output"),
        ({"bert.invertible_adapters.rank.F.0.bias": torch.zeros(2)}, "'inv_adapter' is not set"),
        ({"bert.encoder.layer.1.output.adapter_fusion_layer.a,b.query.weight": torch.zeros(8, 8)}, "not an AdapterFusion"),
        ({"bert.encoder.layer.1.attention.self.query.loras.rank.lora_A": torch.zeros(8, 8)}, "unknown tensor"),
        ({"bert.encoder.layer.01.output.adapters.rank.adapter_up.bias": torch.zeros(8)}, "unknown tensor"),
        ({"x\ny" * 200: torch.zeros(8)}, ""),
        ({"bert.encoder.layer.1.output.adapters.en.adapter_up.bias": torch.zeros(8)}, "'en' beside 'rank'"),
        ({"encoder.layer.1.output.adapters.rank.adapter_up.bias": torch.zeros(8)}, "'' and 'bert.'"),
        ({f"{STEM}.adapter_up.bias": torch.zeros(9)}, "shape [9], expected floats of shape [8]"),
        ({f"{STEM}.adapter_up.bias": torch.zeros(1).expand(8, 8)}, "claims more values"),
        ({f"{STEM}.adapter_up.bias": torch.zeros(8, dtype=torch.int64)}, "torch.int64"),
        ({f"{STEM}.adapter_up.bias": torch.full([8], 1e300, dtype=torch.float64)}, "beyond float32"),
    ],
)
def test_refuses_other_tensors(tmp_path: Path, tiny_bert: Base, extra: dict[str, Tensor], word: str) -> None:
    refused(save(tmp_path, adapter() | extra, card()), tiny_bert, word)


def test_refuses_missing_tensors_and_other_shapes(tmp_path: Path, tiny_bert: Base, tiny_xlmr: Base) -> None:
    tensors = adapter()
    del tensors[f"{STEM}.adapter_up.bias"]
    refused(save(tmp_path / "a", tensors, card()), tiny_bert, "1 of 12 tensors", "layer.1.up.bias")
    refused(save(tmp_path / "b", adapter(sizes=(2, 0, 2)), card()), tiny_bert, "4 of 12 tensors")
    refused(save(tmp_path / "c", adapter(), card({"leave_out": [1]})), tiny_bert, "not part of")
    refused(save(tmp_path / "d", adapter(), card({"reduction_factor": 2})), tiny_bert, "expected floats of shape [4")
    refused(save(tmp_path / "e", adapter(), card(files.NICE)), tiny_bert, "8 of 20 tensors")
    refused(save(tmp_path / "f", adapter(), card(model_type=None)), tiny_xlmr, "'bert.'", "'roberta.'")
