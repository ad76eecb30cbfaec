"""Bases load from folders, are told apart by their weights, and are never changed by what is built on them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import HIDDEN, LAYERS, POSITIONS, load_base, snapshot
from xlrank.bases import Base, PairFrame, compute_fingerprint
from xlrank.bases.tokenizer import pair_frame
from xlrank.errors import XlrankError

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_bert_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT's folder, to be changed."""
    return Path(shutil.copytree(tiny_bert_folder, tmp_path / "copy"))


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def rewrite_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_bert_folder_loads(tiny_base: Base) -> None:
    assert (tiny_base.config.hidden_size, tiny_base.config.num_hidden_layers) == (HIDDEN, LAYERS)
    assert tiny_base.max_length == POSITIONS
    assert not tiny_base.embedded
    assert not tiny_base.encoder.training
    assert not any(parameter.requires_grad for parameter in tiny_base.encoder.parameters())
    assert {parameter.dtype for parameter in tiny_base.encoder.parameters()} == {torch.float32}
    assert tiny_base.tokenizer.is_fast
    assert tiny_base.frame == PairFrame(first=(2,), middle=(3,), last=(3,), types_differ=True)
    assert tiny_base.frame.length == 3


def test_an_xlmr_folder_loads(tiny_xlmr_base: Base) -> None:
    assert tiny_xlmr_base.config.model_type == "xlm-roberta"
    assert tiny_xlmr_base.max_length == POSITIONS
    assert tiny_xlmr_base.frame == PairFrame(first=(0,), middle=(2, 2), last=(2,), types_differ=False)
    ids = torch.tensor([[0, 10, 11, 2] + [1] * (POSITIONS - 4)])
    assert tiny_xlmr_base.encoder(input_ids=ids).last_hidden_state.shape == (1, POSITIONS, HIDDEN)


@pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])
def test_the_frame_is_how_the_tokenizer_frames_a_pair(fixture: str, request: pytest.FixtureRequest) -> None:
    base: Base = request.getfixturevalue(fixture)
    frame, tokenizer = base.frame, base.tokenizer
    query, document = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the дарыя xyz", "apple market"))
    pair = tokenizer("the дарыя xyz", "apple market", return_token_type_ids=True)
    assert pair["input_ids"] == [*frame.first, *query, *frame.middle, *document, *frame.last]
    assert pair_frame(tokenizer) == frame


def test_half_precision_checkpoints_load_in_float32(folder: Path) -> None:
    rewrite_weights(folder, lambda tensors: tensors.update({name: value.half() for name, value in tensors.items()}))
    rewrite_config(folder, dtype="float16")
    assert {parameter.dtype for parameter in load_base(folder).encoder.parameters()} == {torch.float32}


def test_other_architectures_are_refused(folder: Path) -> None:
    rewrite_config(folder, model_type="distilbert")
    with pytest.raises(XlrankError, match="is a 'distilbert' model; expected one of bert, xlm-roberta"):
        _ = Base(str(folder)).encoder


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'; only 'absolute' positions"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "its weights are quantized"),
        ({"is_decoder": True}, "is_decoder is true, so it is a decoder; expected an encoder"),
    ],
)
def test_what_is_computed_otherwise_is_refused(folder: Path, setting: dict[str, object], said: str) -> None:
    rewrite_config(folder, **setting)
    for attribute in ("encoder", "tokenizer"):
        with pytest.raises(XlrankError, match=f"^base '.*': {said}[^\n]*$"):
            getattr(Base(str(folder)), attribute)


def test_without_tokenizer_files_a_base_is_refused(tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path) -> None:
    for source in (tiny_bert_folder, tiny_xlmr_folder):
        for left_out in ("*token*", "tokenizer.json"):
            copy = Path(shutil.copytree(source, tmp_path / f"{source.name}-{len(left_out)}"))
            for path in copy.glob(left_out):
                path.unlink()
            said = "has no tokenizer; put tokenizer.json or vocab.txt or sentencepiece.bpe.model into the folder$"
            with pytest.raises(XlrankError, match=said):
                _ = Base(str(copy)).tokenizer


def rewrite_vocabulary(folder: Path, change: Callable[[dict[str, int]], object]) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change(tokenizer["model"]["vocab"])
    path.write_text(json.dumps(tokenizer))


def test_a_tokenizer_of_special_tokens_only_is_refused(folder: Path) -> None:
    rewrite_vocabulary(folder, lambda pieces: [pieces.pop(piece) for piece in [*pieces][5:]])
    with pytest.raises(XlrankError, match="has no vocabulary, so every word would be unknown; put tokenizer.json or vocab.txt"):
        _ = Base(str(folder)).tokenizer


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(folder: Path, tiny_base: Base) -> None:
    size = int(tiny_base.config.vocab_size)
    rewrite_vocabulary(folder, lambda pieces: pieces.update(zzz=size))
    with pytest.raises(XlrankError, match=f"its tokenizer has {size + 1} tokens, its encoder embeddings of {size}; use the"):
        _ = Base(str(folder)).tokenizer


def shard(folder: Path) -> dict[str, Any]:
    """Save the weights in several files; their index."""
    from transformers import BertModel

    model = BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    assert len(set(index["weight_map"].values())) > 1
    return index


def test_weights_in_several_files_load(folder: Path, tiny_base: Base) -> None:
    shard(folder)
    assert load_base(folder).fingerprint == tiny_base.fingerprint


def test_an_index_that_names_files_elsewhere_is_refused(folder: Path) -> None:
    index = shard(folder)
    name = next(iter(index["weight_map"].values()))
    shutil.move(folder / name, folder.parent / name)
    for elsewhere in (f"../{name}", str(folder.parent / name), 3):
        weights = {key: elsewhere if file == name else file for key, file in index["weight_map"].items()}
        (folder / INDEX).write_text(json.dumps(index | {"weight_map": weights}))
        with pytest.raises(XlrankError, match=f"{INDEX}: names .{re.escape(str(elsewhere)[:40])}.*, which is no file beside it"):
            _ = Base(str(folder)).encoder


@pytest.mark.parametrize("content", ["[1]", "{}", '{"weight_map": []}', '{"weight_map": {}, "metadata": 1}', "{"])
def test_a_damaged_index_is_one_line(folder: Path, content: str) -> None:
    shard(folder)
    (folder / INDEX).write_text(content)
    with pytest.raises(XlrankError, match=f"{INDEX}: (is no index of weights|not valid JSON)[^\n]*$"):
        _ = Base(str(folder)).encoder


@pytest.mark.parametrize("attribute", ["config", "tokenizer", "encoder"])
@pytest.mark.parametrize("name", ["no/such-model", "{folder}/none", "{folder}"])
def test_a_missing_base_is_one_line(attribute: str, name: str, tmp_path: Path) -> None:
    name = name.format(folder=tmp_path)
    with pytest.raises(XlrankError, match="cannot be loaded: ") as caught:
        getattr(Base(name), attribute)
    assert "\n" not in str(caught.value)
    assert repr(name) in str(caught.value)


def test_a_damaged_checkpoint_is_one_line(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(XlrankError, match="cannot be loaded") as caught:
        _ = load_base(folder).encoder
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_lacks_encoder_weights_is_refused(folder: Path) -> None:
    name = "encoder.layer.1.output.dense.bias"
    rewrite_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(XlrankError, match=f"lacks 1 encoder weights, {name} among them"):
        _ = load_base(folder).encoder


def test_a_checkpoint_of_other_sizes_is_refused(folder: Path) -> None:
    rewrite_config(folder, intermediate_size=48)
    with pytest.raises(XlrankError, match="cannot be loaded"):
        _ = load_base(folder).encoder


def test_the_fingerprint_is_the_same_each_time_and_wherever_it_lies(tiny_base: Base, folder: Path) -> None:
    assert load_base(folder).fingerprint == tiny_base.fingerprint == compute_fingerprint(tiny_base.encoder)
    assert len(tiny_base.fingerprint) == 16


def test_the_fingerprint_changes_with_a_weight(tiny_base: Base, tiny_xlmr_base: Base, folder: Path) -> None:
    def nudge(tensors: dict[str, torch.Tensor]) -> None:
        tensors["encoder.layer.1.output.LayerNorm.bias"][3] += 1e-6

    rewrite_weights(folder, nudge)
    assert load_base(folder).fingerprint != tiny_base.fingerprint
    assert tiny_xlmr_base.fingerprint != tiny_base.fingerprint


def test_the_fingerprint_changes_with_a_size_that_no_weight_shows(tiny_base: Base, folder: Path) -> None:
    rewrite_config(folder, num_attention_heads=2)
    assert load_base(folder).fingerprint != tiny_base.fingerprint


def test_a_missing_pooler_does_not_matter(tiny_base: Base, folder: Path) -> None:
    rewrite_weights(folder, lambda tensors: [tensors.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    base = load_base(folder)
    assert base.encoder.pooler is None
    assert tiny_base.encoder.pooler is not None
    assert base.fingerprint == tiny_base.fingerprint


def test_a_copy_shares_every_tensor_but_the_replaced(tiny_base: Base) -> None:
    name = "encoder.layer.0.output.dense.weight"
    before, new = snapshot(tiny_base), torch.ones(HIDDEN, 64)
    copy = tiny_base.copy_encoder({name: new}, torch.float32)
    own = dict(tiny_base.encoder.named_parameters())
    assert copy is not tiny_base.encoder
    for key, parameter in copy.named_parameters():
        assert (parameter.data_ptr() == own[key].data_ptr()) == (key != name), key
    assert torch.equal(dict(copy.named_parameters())[name], new)
    copy.encoder.layer[0].output = torch.nn.Identity()
    assert snapshot(tiny_base) == before


def test_a_converted_copy_shares_its_tensors_with_the_next(tiny_base: Base) -> None:
    before = snapshot(tiny_base)
    one, other = (tiny_base.copy_encoder({}, torch.bfloat16) for _ in range(2))
    assert {parameter.dtype for parameter in one.parameters()} == {torch.bfloat16}
    assert [p.data_ptr() for p in one.parameters()] == [p.data_ptr() for p in other.parameters()]
    assert snapshot(tiny_base) == before


def test_moving_a_copy_does_not_move_the_base(folder: Path) -> None:
    # As .to("cuda") would do: the parameter objects must be the copy's own, only their storage is shared.
    base = load_base(folder)
    before = snapshot(base)
    base.copy_encoder({}, torch.float32).to(torch.float64)
    assert {parameter.dtype for parameter in base.encoder.parameters()} == {torch.float32}
    assert snapshot(base) == before


def test_training_a_copy_does_not_make_the_base_trainable(folder: Path) -> None:
    base = load_base(folder)
    base.copy_encoder({}, torch.float32).requires_grad_(True)
    assert not any(parameter.requires_grad for parameter in base.encoder.parameters())


def test_nothing_is_read_before_it_is_needed() -> None:
    assert repr(Base("no/such-model")) == "Base('no/such-model')"
    assert Base().embedded
