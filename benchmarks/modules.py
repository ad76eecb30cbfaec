"""Modules of the sizes that the paper uses, with random weights, on the embedded base."""

import torch

from xlrank.bases import Base
from xlrank.modules import BaseReference, Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter
from xlrank.modules.kinds.head.layers import RankingHead

LANGUAGES = "ky ug tr sw so en de it fi ru fa zh".split()
DENSITY = 0.044
"""Share of a base's values that a language mask of the paper changes."""
MASKABLE = (".dense.", ".query.", ".key.", ".value.", "_embeddings.")


def sizes(base: Base) -> tuple[int, int]:
    """Hidden size and layers."""
    return int(base.config.hidden_size), int(base.config.num_hidden_layers)


def make(base: Base, tensors: dict[str, torch.Tensor], kind: str, name: str, **fields: object) -> Module:
    """A module for the base."""
    reference = BaseReference(base.name, base.fingerprint)
    settings = {"role": "language", "language": None, "config": {}} | fields
    return Module.create(tensors, kind=kind, name=name, base=reference, **settings)


def language_adapter(base: Base, language: str, seed: int) -> Module:
    """Reduction factor 2 with an invertible adapter, the paper's."""
    torch.manual_seed(seed)
    config = AdapterConfig(reduction_factor=2, invertible=True)
    tensors = Adapter(config, *sizes(base)).state_dict()
    return make(base, tensors, "adapter", f"language/{language}", language=language, config=config.as_dict())


def ranking_adapter(base: Base) -> Module:
    """Reduction factor 16 with a relevance head, the paper's."""
    torch.manual_seed(99)
    config = AdapterConfig(reduction_factor=16)
    tensors = Adapter(config, *sizes(base)).state_dict()
    tensors |= {f"head.{name}": tensor for name, tensor in RankingHead(sizes(base)[0]).state_dict().items()}
    return make(base, tensors, "adapter", "ranking/en", role="ranking", config=config.as_dict() | {"pooling": "cls"})


def language_mask(base: Base, language: str, seed: int) -> Module:
    """Differences to 4.4 % of all values but layer norms, drawn anywhere."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in base.encoder.named_parameters():
        if any(part in name for part in MASKABLE):
            chosen = torch.rand(parameter.numel(), generator=generator) < DENSITY
            index = chosen.nonzero().squeeze(1).to(torch.int32)
            tensors |= {f"index.{name}": index, f"value.{name}": 0.01 * torch.randn(len(index), generator=generator)}
    return make(base, tensors, "mask", f"language/{language}-mask", language=language)
