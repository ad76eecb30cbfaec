"""Any sentence-transformers model as a bi-encoder: its own prompts, length and similarity, or those that are given."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from xlrank.bases.base import quiet_transformers
from xlrank.bases.checks import check_vocabulary
from xlrank.bases.prompts import Side
from xlrank.errors import XlrankError
from xlrank.precision import Precision, torch_dtype
from xlrank.progress import Progress
from xlrank.reach import loading
from xlrank.retrieval.dense.encoders import Similarity, Vectors, check_length, resolved
from xlrank.text import clean

PROMPTS: Mapping[Side, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Names that the prompt of a side has in a model's configuration; the first that is not empty counts."""

BATCH = {"cpu": 32, "cuda": 256}
"""Texts computed at a time."""

SLICE = 16
"""Batches between two reports of progress."""

SMALLEST = 1e-12
"""Length of a vector that counts as none at all, so that it is not divided by."""


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence-transformers model (Reimers and Gurevych 2019) by its Hub name or folder; code of its own is never run.

    A folder or repository with a plain encoder becomes one with mean pooling, as in sentence-transformers itself.

    Attributes:
        model: the name, e.g. ``sentence-transformers/distilbert-multilingual-nli-stsb-quora-ranking``, or the folder.
        query_prefix: put before each query; None: the model's own prompt for queries, if it has one.
        document_prefix: put before each document; None: the model's own prompt for documents, passages or a corpus.
        max_length: word pieces a text is cut to, no more than the model has positions for; None: what the model says.
        precision: ``auto``, ``fp32``, ``bf16``.
        revision: branch, tag or commit on the Hub.
    """

    model: str
    query_prefix: str | None = None
    document_prefix: str | None = None
    max_length: int | None = None
    precision: Precision = "auto"
    revision: str | None = None

    def __post_init__(self) -> None:
        """Check the settings, so that they do not fail after a model has been loaded."""
        if self.max_length is not None:
            check_length(self.max_length)
        resolved(self.precision)

    @property
    def name(self) -> str:
        """The model's."""
        return self.model

    @cached_property
    def similarity(self) -> Similarity:
        """What the model's configuration names; else the cosine."""
        return cast("Similarity", str(self._model.similarity_fn_name))

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """Weights, modules, tokenizer, prefix, length, similarity, precision."""
        return {
            "kind": "sentence-transformers",
            "fingerprint": _fingerprint(self._model),
            "document_prefix": self.prefix("document"),
            "max_length": _finite(self._model.max_seq_length),
            "similarity": self.similarity,
            "dimensions_kept": self._model.truncate_dim,
            "precision": resolved(self.precision),
        }

    def prefix(self, side: Side) -> str:
        """What is put before every text of this side."""
        given = self.query_prefix if side == "query" else self.document_prefix
        if given is not None:
            return given
        prompts: Mapping[str, str | None] = self._model.prompts
        return next(filter(None, (prompts.get(name) for name in PROMPTS[side])), "")

    def encode(self, texts: Sequence[str], side: Side | None = None, progress: Progress | None = None) -> Vectors:
        """Vectors [texts, dimensions] in float32, of unit length where the model's similarity is the cosine."""
        if not texts:
            return self.encode(["1"])[:0]
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        prompt, batch = self.prefix(side) if side else "", BATCH[self._model.device.type]
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        parts: list[Vectors] = []
        for start in range(0, len(order), batch * SLICE):
            chosen = [clean(texts[i]) for i in order[start : start + batch * SLICE]]
            found = encode(chosen, prompt=prompt, batch_size=batch, show_progress_bar=False, convert_to_tensor=True)
            parts.append(found.float().cpu().numpy())
            if progress:
                progress(start + len(chosen), len(order))
        vectors = np.concatenate(parts)[np.argsort(order)]
        if self.similarity == "cosine":
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SMALLEST)
        return vectors

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - a SentenceTransformer
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise XlrankError(
                f"{self.model!r} needs sentence-transformers ({error}); `pip install xlrank[dense]` brings it"
            ) from None
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        options = {"model_kwargs": {"dtype": torch_dtype(resolved(self.precision))}, "trust_remote_code": False}
        try:
            with loading(f"sentence-transformers model {self.model!r}", self.model) as more, quiet_transformers():
                model = SentenceTransformer(self.model, device=device, revision=self.revision, **options, **more)
        except XlrankError:
            raise
        except Exception as error:  # a wrong name, no connection, damaged files: every version has errors of its own for them
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise XlrankError(
                f"sentence-transformers model {self.model!r} cannot be loaded: {reason} (give a name on the Hub, or a folder "
                "that holds such a model)"
            ) from None
        tokenizer = getattr(model, "tokenizer", None)
        if hasattr(tokenizer, "all_special_ids"):
            check_vocabulary(tokenizer, f"sentence-transformers model {self.model!r}", "the files of its tokenizer")
        self._cut(model)
        return model

    def _cut(self, model: Any) -> None:  # noqa: ANN401
        """Set the length; not to more than the model has positions for, which its tokenizer need not know."""
        own = model.max_seq_length or math.inf
        wanted = min(self.max_length or own, _positions(model))
        if math.isinf(wanted) or wanted == own:
            return
        try:
            model.max_seq_length = wanted
        except AttributeError:
            raise XlrankError(f"sentence-transformers model {self.model!r} cannot cut texts; leave max_length out") from None


def _positions(model: Any) -> float:  # noqa: ANN401
    """Word pieces that the model has positions for; infinity where nothing bounds them."""
    config: Any = getattr(getattr(model, "transformers_model", None), "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return math.inf
    return positions - 2 if "roberta" in str(config.model_type) else positions  # RoBERTa counts from its padding piece on


def _fingerprint(model: Any) -> str:  # noqa: ANN401
    """16 hexadecimal digits that change with any weight, with what the modules do with them, and with the tokenizer."""
    digest = hashlib.sha256()
    # Where a checkpoint lacks BERT's pooler, which nobody uses here, it is drawn anew each time.
    weights = {name: tensor for name, tensor in model.state_dict().items() if ".pooler." not in name}
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)};".encode())
        digest.update(np.ascontiguousarray(tensor.detach().float().cpu().numpy()).data)
    modules = [[type(module).__name__, module.get_config_dict()] for module in model]
    digest.update(json.dumps(modules, sort_keys=True, default=str).encode())
    digest.update(_tokenizer_text(model).encode())
    return digest.hexdigest()[:16]


def _tokenizer_text(model: Any) -> str:  # noqa: ANN401
    """What a tokenizer does, but for cutting and padding, which change in use."""
    tokenizer = getattr(model, "tokenizer", None)
    fast: Any = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(fast, "to_str"):
        return json.dumps(getattr(fast, "get_vocab", dict)(), sort_keys=True, default=str)
    return json.dumps(json.loads(fast.to_str()) | {"truncation": None, "padding": None}, sort_keys=True)


def _finite(length: float | None) -> int | None:
    return None if length is None or math.isinf(length) else int(length)
