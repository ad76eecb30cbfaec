"""What a checkpoint must be to be computed as it was trained. Other ones load as well, and their scores look like any others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARD_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model")
"""Files that the vocabulary of a BERT or XLM-R tokenizer is read from."""


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuse an encoder that is computed in another way than bases are here.

    Args:
        settings: of the model, as in its ``config.json``.
        where: the model or its file, for messages.

    Raises:
        XlrankError: its positions are not absolute, its weights are quantized, or it is a decoder.
    """
    positions = settings.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise XlrankError(f"{where}: position_embedding_type is {str(positions)[:40]!r}; only 'absolute' positions are supported")
    if settings.get("quantization_config"):
        raise XlrankError(f"{where}: its weights are quantized (quantization_config); use the model that it was made from")
    for name in ("is_decoder", "add_cross_attention"):
        if settings.get(name):
            raise XlrankError(f"{where}: {name} is true, so it is a decoder; expected an encoder")


def check_shards(folder: Path) -> None:
    """Refuse an index of weights in several files that names anything but files beside it.

    Args:
        folder: of a checkpoint; one that does not exist has no index.

    Raises:
        XlrankError: the index is damaged, or names a file elsewhere.
    """
    for path in (folder / name for name in SHARD_INDEXES):
        if not path.is_file():
            continue
        index = read_json(path)
        files = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(files, dict) or not isinstance(index.get("metadata", {}), dict):
            raise XlrankError(f"{path}: is no index of weights (an object with 'weight_map'); restore it as it was saved")
        for file in files.values():
            if not isinstance(file, str) or Path(file).name != file or "\\" in file:
                raise XlrankError(f"{path}: names {str(file)[:80]!r}, which is no file beside it; restore it as it was saved")


def check_vocabulary(tokenizer: "PreTrainedTokenizerBase", where: str, files: str = " or ".join(VOCABULARIES)) -> None:
    """Refuse a tokenizer of special tokens, and perhaps a space, alone: transformers makes one where it finds no files.

    Args:
        tokenizer: as loaded.
        where: the model, for the message.
        files: that are missing then.

    Raises:
        XlrankError: the tokenizer has no vocabulary.
    """
    if len(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)) <= 1:
        raise XlrankError(f"{where}: has no vocabulary, so every word would be unknown; put {files} beside the model")


def check_ids(tokenizer: "PreTrainedTokenizerBase", embeddings: int, where: str) -> None:
    """Refuse a tokenizer whose tokens the encoder has no embeddings for.

    Raises:
        XlrankError: naming both numbers.
    """
    tokens = max(tokenizer.get_vocab().values()) + 1
    if tokens > embeddings:
        raise XlrankError(
            f"{where}: its tokenizer has {tokens:,} tokens, its encoder embeddings of {embeddings:,}; "
            "use the tokenizer that the model was saved with"
        )
