from pathlib import Path

import pytest
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from xlrank.bases import Base

from .adapterhub_files import HIDDEN, LAYERS

SIZES = {
    "vocab_size": 30,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
}


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder: Path = tmp_path_factory.mktemp("bases") / "tiny-uncased"
    BertModel(BertConfig(**SIZES)).save_pretrained(folder)
    return Base(str(folder))


@pytest.fixture(scope="session")
def tiny_xlmr(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder: Path = tmp_path_factory.mktemp("bases") / "tiny-xlmr"
    XLMRobertaModel(XLMRobertaConfig(**SIZES, pad_token_id=1)).save_pretrained(folder)
    return Base(str(folder))
