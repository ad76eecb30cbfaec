"""Tiny random bases, and what the tests of the formats share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import BaseReference, Module

HIDDEN, INNER, LAYERS, WORDS = 8, 12, 2, 30
SIZES: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": INNER,
    "max_position_embeddings": 20,
}


def make_bert(folder: Path, pooler: bool = True) -> Base:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    BertModel(BertConfig(**SIZES), add_pooling_layer=pooler).save_pretrained(folder)
    return Base(str(folder))


def make_xlmr(folder: Path) -> Base:
    torch.manual_seed(2)
    XLMRobertaModel(XLMRobertaConfig(**SIZES, pad_token_id=1), add_pooling_layer=False).save_pretrained(folder)
    return Base(str(folder))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """The code inside must end in one error of one line that holds all the words."""
    with pytest.raises(XlrankError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def made(base: Base, tensors: dict[str, Tensor], kind: str, **config: object) -> Module:
    reference = BaseReference(base.name, base.fingerprint)
    return Module.create(tensors, name="made", kind=kind, role="ranking", language=None, base=reference, config=config)


class Code:
    """Creates the file it names when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (self.path,)
