"""The cross-encoder (the paper): query and document are encoded together, and a relevance head scores the pair."""

from collections.abc import Sequence

import numpy as np
import torch

from xlrank.bases import Base
from xlrank.collections.documents import Documents
from xlrank.composition import Composition
from xlrank.composition.model import Output, pooler_of
from xlrank.composition.plan import Plan
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import PREFIX, RankingHead, build_ranking_head, relevance
from xlrank.precision import ResolvedPrecision
from xlrank.ranking.blank import Blank
from xlrank.ranking.interaction import BATCH_TOKENS, Pair, Progress, Scores
from xlrank.ranking.journal import Journal
from xlrank.ranking.pairs import Batch, PairEncoder, batches_by_length
from xlrank.ranking.shared import SharedEncoder

LOWEST = -10_000.0
"""Score of a pair with a text without content: lower than any logit."""


class CrossEncoder:
    """Composed encoder, and the relevance head of the composition's highest module that has one, else the base's own.

    Scores are float32 logits whatever the encoder computes in.

    Args:
        base: the encoder.
        precision: of the encoder.
        max_length: word pieces a pair is cut to (default: what the base takes).
        reference: see :func:`~xlrank.composition.compose.compose`.
    """

    def __init__(
        self, base: Base, precision: ResolvedPrecision = "fp32", *, max_length: int | None = None, reference: bool = False
    ) -> None:
        self.base = base
        self.pairs = PairEncoder(base, max_length)
        self.shared = SharedEncoder(base, precision, reference=reference, also=self.head_source)
        self._head: RankingHead | None = None
        self._source: Module | None = None
        self._of: tuple[Composition, ...] = ()

    def score(
        self,
        pairs: Sequence[Pair],
        compositions: Sequence[Composition],
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> tuple[Scores, list[Blank]]:
        """See :class:`~xlrank.ranking.interaction.Interaction`."""
        scores = np.full(len(pairs), LOWEST, np.float32)
        encoded, blanks = self.pairs.encode_filled(pairs)
        filled = list(encoded)
        finished, number = len(blanks), 0
        for group in self.shared.groups([compositions[i] for i in filled]):
            of_group = [filled[row] for row in group.rows]
            lengths = [len(encoded[i][0]) + len(encoded[i][1]) for i in of_group]
            for batch in batches_by_length(lengths, BATCH_TOKENS):
                rows = [of_group[i] for i in batch]
                known = journal.done.get(number) if journal else None
                if known is None:
                    variants = [group.variants[i] for i in batch] if group.variants else None
                    logits = self._outputs(self.pairs.batch([encoded[i] for i in rows], variants)).logits
                    known = relevance(logits).cpu().tolist()
                    if journal:
                        journal.add(number, known)
                scores[rows] = known
                number, finished = number + 1, finished + len(rows)
                if progress:
                    progress(finished, len(pairs))
        return scores, blanks

    def score_candidates(
        self,
        candidates: Sequence[tuple[str, str]],
        documents: Documents,
        composition: Composition,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> tuple[Scores, list[Blank]]:
        """See :class:`~xlrank.ranking.interaction.Interaction`."""
        texts = documents.fetch(document for _, document in candidates)
        pairs = [(query, texts[document].full_text) for query, document in candidates]
        return self.score(pairs, [composition] * len(pairs), journal, progress)

    def outputs(self, batch: Batch, *compositions: Composition) -> Output:
        """Logits and hidden states of a batch.

        Args:
            batch: framed pairs; with ``variants`` where there are several compositions.
            compositions: resolved; all that the batch mixes, in the order of its ``variants``.

        Raises:
            XlrankError: neither a module nor the base has a relevance head, or the compositions cannot share a batch.
        """
        self.shared.hold(*compositions)
        tensors = batch.tensors()
        tensors.pop("variants", None)
        if len(self.shared.resident) > 1:
            numbers = torch.tensor([self.shared.resident.index(composition) for composition in compositions])
            tensors["variants"] = numbers[
                torch.zeros(len(batch.input_ids), dtype=torch.long) if batch.variants is None else batch.variants
            ]
        return self._outputs(Batch(**tensors))

    def head_source(self, plan: Plan) -> Module:
        """The module whose relevance head a composition uses; the base's own head as a module where no other has one.

        Raises:
            XlrankError: there is no relevance head.
        """
        for module in reversed(plan.modules):
            if PREFIX + "out.weight" in module.tensors:
                return module
        if PREFIX + "out.weight" in self.base.head_tensors:
            return self.base.own_head
        raise XlrankError(
            f"composition {str(plan.composition)!r}: nothing in it scores relevance; add a ranking module, "
            f"e.g. {plan.composition}+rank"
        )

    @torch.inference_mode()
    def _outputs(self, batch: Batch) -> Output:
        tensors = {name: tensor.to(self.shared.device) for name, tensor in batch.tensors().items()}
        states = self.shared.encoder(**tensors)
        return Output(self._head_at_work()(states, tensors["attention_mask"], tensors["sides"]), states)

    def _head_at_work(self) -> RankingHead:
        """The head of the compositions that the encoder holds."""
        if self._head is not None and self._of == self.shared.resident:
            return self._head
        source = self.head_source(self.shared.planned(self.shared.resident[0]))
        if self._head is None or source != self._source:
            self._head = build_ranking_head(source, int(self.base.config.hidden_size)).to(self.shared.device)
        if PREFIX + "dense.weight" not in source.tensors:  # its first layer is the encoder's pooler, which modules may change
            self._head.dense = pooler_of(self.shared.encoder.encoder, self.base).to(self.shared.device)
        self._source, self._of = source, self.shared.resident
        return self._head
