"""Late interaction: the head that makes vectors of one side's tokens, its settings, and MaxSim over batches.

Each side is encoded alone. Relevance is the mean over the query's content tokens of the highest cosine with any of the
document's content tokens (MaxSim; Khattab and Zaharia, SIGIR 2020, ColBERT), plus a weight times the cosine of the two pooled
vectors. Special tokens and prompts are no content.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from xlrank.bases.prompts import DOCUMENT_PROMPT, QUERY_PROMPT, Side
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.layers import PREFIX, mean_pooling
from xlrank.modules.module import LATE, Module

PROJECTION = PREFIX + "projection.weight"
"""Name of a module's projection [dim, hidden], if it has one."""

SHORTEST = 8
"""Word pieces that a side may be cut to at least."""


@dataclass(frozen=True)
class LateSettings:
    """How a late ranking module meets texts.

    Attributes:
        query_prompt: put before each query.
        document_prompt: put before each document.
        query_length: word pieces a query is cut to, prompt and special tokens included.
        document_length: the same of a document.
        pooled: weight of the cosine of the pooled vectors beside MaxSim, whose weight is 1.
        temperature: that similarities were divided by in training.
        dim: size that token vectors are projected to; None keeps the encoder's.

    Raises:
        XlrankError: a value is out of range or of another type.
    """

    query_prompt: str = QUERY_PROMPT
    document_prompt: str = DOCUMENT_PROMPT
    query_length: int = 256
    document_length: int = 256
    pooled: float = 0.0
    temperature: float = 0.02
    dim: int | None = None

    def __post_init__(self) -> None:
        for name in ("query_prompt", "document_prompt"):
            _check(name, getattr(self, name), isinstance(getattr(self, name), str), "text")
        for name in ("query_length", "document_length"):
            _check(name, getattr(self, name), _is_whole(getattr(self, name), SHORTEST), f"a whole number from {SHORTEST} on")
        _check("pooled", self.pooled, _is_finite(self.pooled) and self.pooled >= 0, "a number from 0 on")
        _check("temperature", self.temperature, _is_finite(self.temperature) and self.temperature > 0, "a number above 0")
        _check("dim", self.dim, self.dim is None or _is_whole(self.dim, 1), "a whole number from 1 on, or none")

    @classmethod
    def of(cls, module: Module | None) -> "LateSettings":
        """The settings of a late ranking module; the defaults where there is none.

        Raises:
            XlrankError: they are damaged, or made by a newer xlrank.
        """
        if module is None:
            return cls()
        values = module.config.get(LATE)
        if not isinstance(values, Mapping):
            raise XlrankError(f"module {module.name!r}: {LATE!r} in its config must be an object; restore the module")
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise XlrankError(
                f"module {module.name!r}: unknown setting {unknown[0]!r} of late interaction; made by a newer xlrank?"
            )
        try:
            return cls(**values)
        except XlrankError as error:
            raise XlrankError(f"module {module.name!r}: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """JSON values, as a module's config holds them under ``late``."""
        return asdict(self)

    def prompt(self, side: Side) -> str:
        """What is put before a text of this side."""
        return self.query_prompt if side == "query" else self.document_prompt

    def length(self, side: Side) -> int:
        """Word pieces that a text of this side is cut to."""
        return self.query_length if side == "query" else self.document_length

    @property
    def lowest(self) -> float:
        """A score below all that two texts with content can have."""
        return -2.0 * (1.0 + self.pooled)


class LateHead(nn.Module):
    """Token vectors and pooled vectors of encoded texts.

    Args:
        hidden: the encoder's hidden size.
        dim: size that token vectors are projected to; None keeps them as they are.
    """

    def __init__(self, hidden: int, dim: int | None = None) -> None:
        super().__init__()
        self.projection: nn.Linear | None = None
        if dim is not None:
            self.projection = nn.Linear(hidden, dim, bias=False)
            nn.init.orthogonal_(self.projection.weight)

    def forward(self, states: Tensor, attention_mask: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of unit length, float32.

        Args:
            states: [rows, tokens, hidden].
            attention_mask: [rows, tokens], 1 where a token is no padding.
            content: [rows, tokens], 1 where a token takes part in MaxSim.

        Returns:
            Token vectors [rows, tokens, dim], zero where a token is no content; pooled vectors [rows, hidden], the mean over all
            tokens that are no padding, as the base was trained.
        """
        with torch.autocast(device_type=states.device.type, enabled=False):
            pooled = normalize(mean_pooling(states.float(), attention_mask), dim=-1)
            vectors = states.float()
            if self.projection is not None:
                vectors = self.projection(vectors)
            return normalize(vectors, dim=-1) * content.unsqueeze(-1), pooled


def principal_directions(products: Tensor, size: int) -> Tensor:
    """The projection that changes the inner products of vectors least, of all of its size [size, hidden].

    Uncentred, since MaxSim compares the vectors as they are.

    Args:
        products: sum of the outer products of the vectors with themselves [hidden, hidden].
        size: dimensions to keep, ``hidden`` at most.
    """
    directions: Tensor = torch.linalg.eigh(products).eigenvectors
    return directions[:, -size:].flip(1).T.contiguous()


def build_late_head(module: Module | None, hidden: int) -> LateHead:
    """The head of a late ranking module; the bare one where there is none.

    Raises:
        XlrankError: its projection is missing, or of another size than the encoder's or the settings'.
    """
    settings = LateSettings.of(module)
    head = LateHead(hidden, settings.dim)
    found = None if module is None else module.tensors.get(PROJECTION)
    wanted = None if settings.dim is None else [settings.dim, hidden]
    if (None if found is None else list(found.shape)) != wanted:
        name = module.name if module is not None else "late()"
        have = "none" if found is None else str(list(found.shape))
        raise XlrankError(f"module {name!r}: its projection is {have}, expected {wanted or 'none'} ([dim, hidden size])")
    if head.projection is not None and found is not None:
        head.projection.weight = nn.Parameter(found.float())
    return head.eval().requires_grad_(requires_grad=False)


def maxsim(queries: Tensor, query_content: Tensor, documents: Tensor, document_content: Tensor) -> Tensor:
    """MaxSim of every query with every document [queries, documents]; differentiable.

    Args:
        queries: token vectors [queries, tokens, dim], zero where a token is no content.
        query_content: [queries, tokens], 1 where a token is content; each row needs one.
        documents: token vectors [documents, tokens, dim].
        document_content: [documents, tokens]; each row needs one.
    """
    similarities = torch.einsum("qih,djh->qidj", queries, documents)
    similarities = similarities.masked_fill(document_content[None, None] == 0, -torch.inf)
    best = similarities.amax(-1).masked_fill(query_content[:, :, None] == 0, 0.0)
    return best.sum(1) / query_content.sum(1, keepdim=True)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise XlrankError(f"late interaction: {name} is {value!r}; expected {expected}")
