from pathlib import Path

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.modules.formats.adapterhub_writer import write
from xlrank.modules.kinds.head.layers import build_ranking_head

from . import adapterhub_files as files
from .adapterhub_files import adapter, card, loaded, refused, same, save


def head_folder(folder: Path, tensors: dict[str, Tensor], **fields: object) -> Path:
    save(folder, adapter(), card(model_type=fields.get("model_type")))
    return save(folder, tensors, {**files.HEAD_CARD, **fields}, "pytorch_model_head.bin")


def test_reads_the_classifier_of_bert(tmp_path: Path, tiny_bert: Base) -> None:
    tensors = files.linear("classifier", 1, 8)
    module = loaded(head_folder(tmp_path, tensors), tiny_bert, head=True)
    assert {key for key in module.tensors if key.startswith("head.")} == {"head.out.weight", "head.out.bias"}
    assert same(module, "head.out.weight", tensors["classifier.weight"]) and module.config["pooling"] == "cls"
    assert "head.out.weight" not in loaded(tmp_path, tiny_bert).tensors
    two = loaded(head_folder(tmp_path / "2", files.linear("classifier", 2, 8), num_labels=2), tiny_bert, head=True)
    assert two.tensors["head.out.bias"].shape == (2,)


def test_reads_the_classifier_of_xlm_r(tmp_path: Path, tiny_xlmr: Base) -> None:
    tensors = files.linear("classifier.dense", 8, 8) | files.linear("classifier.out_proj", 1, 8)
    folder = save(tmp_path, adapter(prefix="roberta."), card(model_type="xlm-roberta"))
    fields = {"model_type": "xlm-roberta", "model_class": "XLMRobertaForSequenceClassification"}
    module = loaded(save(folder, tensors, {**files.HEAD_CARD, **fields}, "model_head.safetensors"), tiny_xlmr, head=True)
    assert same(module, "head.dense.weight", tensors["classifier.dense.weight"])
    assert same(module, "head.out.bias", tensors["classifier.out_proj.bias"])


def flexible(folder: Path, tensors: dict[str, Tensor], **settings: object) -> Path:
    fields = {"name": "rank", "model_class": "BertAdapterModel", "config": {**files.FLEXIBLE, **settings}}
    return head_folder(folder, tensors, **fields, num_labels=None)


def test_reads_a_flexible_head(tmp_path: Path, tiny_bert: Base) -> None:
    tensors = files.linear("heads.rank.1", 8, 8) | files.linear("heads.rank.4", 1, 8)
    beside = files.linear("heads.ranker.1", 8, 8) | files.linear("heads.ranker.4", 3, 8)
    module = loaded(flexible(tmp_path / "a", tensors | beside), tiny_bert, head=True)
    assert same(module, "head.dense.bias", tensors["heads.rank.1.bias"])
    assert same(module, "head.out.weight", tensors["heads.rank.4.weight"])
    wrong = [("layers", 3), ("layers", True), ("activation_function", "relu"), ("use_pooler", True), ("bias", False)]
    for i, (key, value) in enumerate(wrong):
        refused(flexible(tmp_path / f"b{i}", tensors, **{key: value}), tiny_bert, repr(key), head=True)
    refused(flexible(tmp_path / "c", tensors, head_type="tagging"), tiny_bert, "'tagging'", head=True)
    refused(flexible(tmp_path / "d", tensors | files.linear("heads.rank.7", 8, 8)), tiny_bert, "heads.rank.7", head=True)
    refused(flexible(tmp_path / "e", beside), tiny_bert, "0 outputs", head=True)
    refused(flexible(tmp_path / "f", tensors, num_labels=3), tiny_bert, "1 outputs, but head_config.json declares 3", head=True)
    refused(
        head_folder(tmp_path / "g", tensors, model_class="BertAdapterModel"), tiny_bert, "needs 'config' and 'name'", head=True
    )


def test_a_flexible_head_of_one_layer_scores_the_first_token_s_state(tmp_path: Path, tiny_bert: Base) -> None:
    tensors = files.linear("heads.rank.1", 2, 8)
    folder = flexible(tmp_path / "one", tensors, layers=1, activation_function="relu", num_labels=2)
    module = loaded(folder, tiny_bert, head=True)
    assert {key for key in module.tensors if key.startswith("head.")} == {"head.out.weight", "head.out.bias"}
    assert module.config["pooling"] == "cls-linear"
    states, ones = torch.randn(3, 5, 8), torch.ones(3, 5, dtype=torch.long)
    expected = states[:, 0] @ tensors["heads.rank.1.weight"].T + tensors["heads.rank.1.bias"]
    head = build_ranking_head(module, 8)
    assert not head.uses_pooler
    torch.testing.assert_close(head(states, ones, 1 - ones), expected)
    again = loaded(write(module, tmp_path / "written", tiny_bert), tiny_bert, head=True)
    assert again.digest == module.digest
    refused(flexible(tmp_path / "two", files.linear("heads.rank.4", 1, 8), layers=1), tiny_bert, "heads.rank.4", head=True)


def test_refuses_other_heads(tmp_path: Path, tiny_bert: Base) -> None:
    refused(save(tmp_path / "a", adapter(), card()), tiny_bert, "head_config.json", head=True)
    classifier = files.linear("classifier", 1, 8)
    masked = head_folder(tmp_path / "b", files.linear("cls.predictions.decoder", 30, 8), model_class="BertForMaskedLM")
    refused(masked, tiny_bert, "'BertForMaskedLM' is no relevance head", head=True)
    refused(head_folder(tmp_path / "c", classifier | files.linear("extra", 1, 8)), tiny_bert, "'extra.weight'", head=True)
    refused(head_folder(tmp_path / "d", files.linear("classifier", 1, 9)), tiny_bert, "should have shape [1, 8]", head=True)
    refused(head_folder(tmp_path / "e", {"classifier.weight": torch.zeros(1, 8)}), tiny_bert, "found nothing", head=True)
    refused(head_folder(tmp_path / "f", classifier, num_labels=2), tiny_bert, "declares 2", head=True)
    refused(
        head_folder(tmp_path / "g", files.linear("classifier", 1001, 8), num_labels=None), tiny_bert, "1001 outputs", head=True
    )
    refused(head_folder(tmp_path / "h", classifier, hidden_size=9), tiny_bert, "head_config.json", "'hidden_size'", head=True)
