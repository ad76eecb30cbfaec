"""Late interaction in training: query and document encoded apart, and the losses over all documents of a batch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.late import LateHead, LateSettings, maxsim, principal_directions
from xlrank.training.loop import Learner
from xlrank.training.losses import LateLossName, ranking_loss


@dataclass(frozen=True)
class LateTraining:
    """How a late ranking module is trained.

    Attributes:
        query_length: word pieces a query is cut to in training, prompt and special tokens included.
        document_length: the same of a document.
        pooled_loss: weight of the loss over cosines of pooled vectors beside that over MaxSim (``contrastive`` only).
        neighbours: examples whose queries are near to each other that stand together in a batch; 0 or 1 draws all at random.
    """

    query_length: int = 48
    document_length: int = 128
    pooled_loss: float = 0.5
    neighbours: int = 8

    def check(self, batch: int) -> None:
        """Hold the values against what makes sense, and against the queries of a batch; lengths are checked with the prompts.

        Raises:
            XlrankError: one is out of range, or the batch is no multiple of the neighbours.
        """
        if not 0 <= self.pooled_loss < float("inf"):
            raise XlrankError(f"train ranking: pooled loss {self.pooled_loss:g}; expected a weight from 0 on")
        if self.neighbours < 0 or batch % max(1, self.neighbours):
            raise XlrankError(
                f"train ranking: a batch of {batch} queries with {self.neighbours} neighbours; expected a multiple of them, or 0 "
                "neighbours"
            )


class LateModel(Learner):
    """Composed encoder and late head over the queries and documents of a batch.

    Args:
        encoder: of both sides.
        head: makes vectors of its states.
        settings: the module's: temperature, and weight of the pooled vectors in a score that a teacher's is held against.
        loss: what it learns by.
        pooled_loss: as of :class:`LateTraining`.
    """

    def __init__(
        self, encoder: ComposedEncoder, head: LateHead, settings: LateSettings, loss: LateLossName, pooled_loss: float
    ) -> None:
        super().__init__()
        self.composed, self.head = encoder, head
        self.settings, self.loss, self.pooled_loss = settings, loss, pooled_loss

    def forward(
        self,
        query_ids: Tensor,
        query_mask: Tensor,
        query_content: Tensor,
        document_ids: Tensor,
        document_mask: Tensor,
        document_content: Tensor,
        labels: Tensor,
        left_out: Tensor,
    ) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            query_ids: word pieces [queries, tokens], as the next two.
            query_mask: 1 where a token is no padding.
            query_content: 1 where a token takes part in MaxSim; each row needs one.
            document_ids: word pieces [documents, tokens], as the next two.
            document_mask: 1 where a token is no padding.
            document_content: 1 where a token takes part in MaxSim; each row needs one.
            labels: [queries, documents]: 1 for a positive, 0 for all others; or a teacher's scores, NaN where it gave none.
            left_out: [texts], one for each text that is not in the batch because it has no content.
        """
        queries, pooled_queries = self._vectors(query_ids, query_mask, query_content)
        documents, pooled_documents = self._vectors(document_ids, document_mask, document_content)
        # Similarities are divided by a small temperature, so half precision would be seen in the loss.
        with torch.autocast(device_type=query_ids.device.type, enabled=False):
            late = maxsim(queries, query_content, documents, document_content)
            pooled = pooled_queries @ pooled_documents.T
            return {"loss": self._loss(late, pooled, labels)}

    @torch.no_grad()
    def start_projection(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Start the head's projection at the principal directions of the encoder's token vectors in these batches.

        Raises:
            XlrankError: the batches have fewer tokens than the projection has dimensions.
        """
        projection = self.head.projection
        if projection is None:
            return
        size, hidden = projection.weight.shape
        bare, products, tokens = LateHead(hidden), torch.zeros(hidden, hidden, dtype=torch.float64), 0
        for batch in batches:
            for side in ("query", "document"):
                ids, mask, content = (batch[f"{side}_{name}"] for name in ("ids", "mask", "content"))
                zeros = torch.zeros_like(ids)
                vectors = bare(self.composed(ids, mask, zeros, zeros), mask, content)[0][content == 1].double()
                products, tokens = products + vectors.T @ vectors, tokens + len(vectors)
        if tokens < size:
            raise XlrankError(f"train ranking: {tokens} tokens to find {size} dimensions (dim) by; expected more training data")
        projection.weight.copy_(principal_directions(products, size))

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Queries and documents seen, and texts left out for want of content."""
        return {
            "queries": len(batch["query_ids"]),
            "documents": len(batch["document_ids"]),
            "left_out": len(batch["left_out"]),
        }

    def _vectors(self, ids: Tensor, mask: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros_like(ids)
        vectors: tuple[Tensor, Tensor] = self.head(self.composed(ids, mask, zeros, zeros), mask, content)
        return vectors

    def _loss(self, late: Tensor, pooled: Tensor, labels: Tensor) -> Tensor:
        temperature = self.settings.temperature
        if self.loss == "contrastive":
            positive = labels > 0
            loss = contrastive_loss(late / temperature, positive)
            return loss + self.pooled_loss * contrastive_loss(pooled / temperature, positive) if self.pooled_loss else loss
        known = ~labels.isnan()
        scores = (late + self.settings.pooled * pooled) / temperature
        return ranking_loss(self.loss, scores[known], labels[known], known.nonzero()[:, 0])


def contrastive_loss(scores: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy of each positive against all documents that are no positives of its query, a scalar.

    The mean is over the positives of a query, then over queries; those without a positive do not count.

    Args:
        scores: [queries, documents].
        positive: booleans [queries, documents].
    """
    # The lowest finite number instead of minus infinity: a query may have positives only, and gradients must stay numbers.
    others = scores.masked_fill(positive, torch.finfo(scores.dtype).min).logsumexp(1, keepdim=True)
    losses = (torch.logaddexp(scores, others) - scores).masked_fill(~positive, 0.0)
    counts = positive.sum(1)
    return (losses.sum(1) / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)
