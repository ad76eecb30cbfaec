"""Writes a tiny release laid out like the paper's, and archives of it, independently of xlrank's readers and writers."""

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from tests.modules.formats import adapterhub_files as hub
from tests.modules.formats import peft_files, sft_files
from tests.modules.formats.tiny import HIDDEN, LAYERS, SIZES

ADAPTER_KY = "adapter/mlm/rf_2/kg/checkpoint-225000/mlm_adapter"
ADAPTER_EN = "adapter/ir/rf_2_4/checkpoint-625000/en"
RANKING = "adapter/ir/rf_2_4/checkpoint-625000/retrieval"
MASK_KY = "sft/mlm/rf_2/kg"
MASK_RANKING = "sft/ir_625k/rf_2_2/checkpoint-625000"
MONOBERT = "monobert/checkpoint-25000"
IDS = {
    "language/en": ADAPTER_EN,
    "language/ky": ADAPTER_KY,
    "language/ky-mask": MASK_KY,
    "ranking/en-rf2-mask": MASK_RANKING,
    "ranking/en-rf4": RANKING,
    "ranking/monobert": MONOBERT,
}
"""What each folder of the release is called here."""


def language_adapter(folder: Path, name: str = "mlm_adapter", **fields: Any) -> Path:  # noqa: ANN401 - settings
    """A MAD-X adapter of reduction factor 2 with the head file that the library leaves beside it."""
    tensors = hub.adapter(name, sizes=(HIDDEN // 2,) * LAYERS) | hub.invertible(name, size=HIDDEN // 4)
    hub.save(folder, tensors, hub.card(hub.NICE | {"reduction_factor": 2}, name=name, **fields))
    head = {"cls.predictions.bias": torch.zeros(SIZES["vocab_size"])}
    return hub.save(folder, head, hub.HEAD_CARD | {"model_class": "BertForMaskedLM"}, "pytorch_model_head.bin")


def ranking_adapter(folder: Path, name: str = "retrieval", **fields: Any) -> Path:  # noqa: ANN401 - settings
    """A ranking adapter of reduction factor 4 with its head."""
    hub.save(folder, hub.adapter(name, sizes=(HIDDEN // 4,) * LAYERS), hub.card(name=name, **fields))
    return hub.save(folder, hub.linear("classifier", 1, HIDDEN), hub.HEAD_CARD, "pytorch_model_head.bin")


def mask(folder: Path, ranking: bool = False) -> Path:
    """A sparse fine-tuning."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    diffs = {name: sft_files.entry(dense) for name, dense in sft_files.dense_diffs().items()}
    return sft_files.save(folder, diffs, sft_files.classifier() if ranking else None)


def lora(folder: Path) -> Path:
    """A LoRA of the query layers."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return peft_files.save(folder, peft_files.queries())


def cross_encoder(folder: Path, **sizes: int) -> Path:
    """A fine-tuned model with one label."""
    BertForSequenceClassification(BertConfig(**SIZES | sizes, num_labels=1)).save_pretrained(folder)
    return folder


def write_release(folder: Path) -> Path:
    """All of :data:`IDS`."""
    torch.manual_seed(5)
    language_adapter(folder / ADAPTER_KY)
    language_adapter(folder / ADAPTER_EN, "en")
    ranking_adapter(folder / RANKING)
    mask(folder / MASK_KY)
    mask(folder / MASK_RANKING, ranking=True)
    cross_encoder(folder / MONOBERT)
    (folder / "adapter/ir/rf_2_4/checkpoint-625000/trainer_state.json").write_text("{}")
    return folder


def packed(folder: Path, archive: Path, top: str = "release") -> Path:
    """An archive of a folder's files, below a folder of its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in files:
                zipped.write(path, f"{top}/{path.relative_to(folder)}")
    else:
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, top)
    return archive
