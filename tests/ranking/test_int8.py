"""Which layers are computed in eight bits, and how far scores of real modules move in each precision."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import make_adapter, make_lora, make_ranking
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.composition import split
from xlrank.composition.compose import compose
from xlrank.precision import Precision
from xlrank.ranking import Ranker
from xlrank.ranking.int8 import CLOSING, Int8Linear, quantize_linears


def test_the_layers_that_close_a_block_stay_as_they_are(tiny_base: Base) -> None:
    lora, lora2 = make_lora(tiny_base, "ky", 1), make_lora(tiny_base, "en", 2)
    encoder = compose(
        tiny_base, split(query=lora, document=lora2) + make_adapter(tiny_base, "ky", 3) + make_ranking(tiny_base, 4)
    )
    before = {name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    quantize_linears(encoder)
    kept = {name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    assert kept == {name for name in before if CLOSING.fullmatch(f".{name}")}
    assert len(kept) == 2 * 2, "of attention and feed-forward block of both layers"
    assert sum(isinstance(module, Int8Linear) for module in encoder.modules()) == len(before - kept)


COARSE = 0.95 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 0.75
"""Least correlation in eight bits: without AVX-512, torch's 8-bit products may overflow 16 bits and are cut."""


@pytest.mark.e2e
@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.999), ("int8", COARSE)])
@pytest.mark.parametrize("composition", ["monobert", "split(mlm/ky,mlm/en)+cross"])
def test_coarser_numbers_rank_alike(composition: str, precision: Precision, least: float) -> None:
    base, collection = Base(), Collection("mini/ky-en")
    topics, documents = collection.topics("ky")[:2], collection.documents("en")[:16]
    pairs = [(topic.query("title+description"), document.full_text) for topic in topics for document in documents]
    exact, coarse = (Ranker(base, composition, precision=each, modules={}).score(pairs) for each in ("fp32", precision))
    assert np.corrcoef(exact, coarse)[0, 1] > least
