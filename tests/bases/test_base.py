"""Bases load from folders, are told apart by their weights, and are never changed by what is built on them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import HIDDEN, LAYERS, POSITIONS, load_base, snapshot
from xlrank.bases import Base, PairFrame, compute_fingerprint
from xlrank.bases.tokenizer import pair_frame
from xlrank.errors import XlrankError


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
