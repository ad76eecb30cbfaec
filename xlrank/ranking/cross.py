"""The cross-encoder (the paper): query and document are encoded together, and a relevance head scores the pair."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from xlrank.bases import Base, UnknownPieces
from xlrank.bases.prompts import SIDES
from xlrank.collections.documents import Documents
from xlrank.composition import Composition
from xlrank.composition.model import Output, pooler_of
from xlrank.composition.plan import Plan
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import MAX_LENGTH, PREFIX, RankingHead, build_ranking_head, relevance
from xlrank.precision import ResolvedPrecision
from xlrank.progress import Progress
from xlrank.ranking.interaction import BATCH_TOKENS, Pair, Scored
from xlrank.ranking.journal import Journal
from xlrank.ranking.pairs import Batch, EncodedPair, PairEncoder, batches_by_length
from xlrank.ranking.shared import SharedEncoder

LOWEST = -10_000.0
"""Score of a pair with a text without content: lower than any logit."""


class CrossEncoder:
    """Composed encoder, and the relevance head of the composition's highest module that has one, else the base's own.

    Scores are float32 logits whatever the encoder computes in.

    Args:
        base: the encoder.
        precision: of the encoder.
        max_length: word pieces a pair is cut to (default: what the module with the head states, else what the base does).
        reference: see :func:`~xlrank.composition.compose.compose`.
    """

    def __init__(
        self, base: Base, precision: ResolvedPrecision = "fp32", *, max_length: int | None = None, reference: bool = False
    ) -> None:
        self.base, self.max_length = base, max_length
        self.pairs = PairEncoder(base, max_length)
        self.shared = SharedEncoder(base, precision, reference=reference, also=self.head_source)
        self._queries, self._documents = (UnknownPieces.of_side(base, side) for side in SIDES)
        self._head: RankingHead | None = None
        self._source: Module | None = None
        self._of: tuple[Composition, ...] = ()

    def score(
        self,
        pairs: Sequence[Pair],
        compositions: Sequence[Composition],
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
        """See :class:`~xlrank.ranking.interaction.Interaction`; a note counts pairs that were cut."""
        scores = np.full(len(pairs), LOWEST, np.float32)
        limits = {composition: self.limit(composition) for composition in dict.fromkeys(compositions)}
        encoded, blanks, shortened = self.pairs.encode_to(pairs, [limits[composition] for composition in compositions])
        self._warn_of_unknown(pairs, encoded)
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
        return Scored(scores, blanks, [_note(shortened, len(pairs), limits.values())] if shortened else [])

    def limit(self, composition: Composition) -> int:
        """Word pieces that a composition's pairs are cut to.

        Raises:
            XlrankError: nothing in the composition scores relevance, or the length leaves nothing of a pair.
        """
        if self.max_length is not None:
            return self.pairs.max_length
        source = self.head_source(self.shared.planned(composition))
        stated = source.config.get(MAX_LENGTH, self.pairs.max_length)
        if not isinstance(stated, int):
            raise XlrankError(f"module {source.name!r}: its {MAX_LENGTH} is {str(stated)[:40]!r}; expected a whole number")
        return self.pairs.checked(stated)

    def score_candidates(
        self,
        candidates: Sequence[tuple[str, str]],
        documents: Documents,
        composition: Composition,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
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

    def _warn_of_unknown(self, pairs: Sequence[Pair], encoded: Mapping[int, EncodedPair]) -> None:
        frame = self.base.frame
        before = len(frame.first) + 1  # the query's own separator included
        texts = [(pairs[number], pair) for number, pair in encoded.items()]
        self._queries.look({query: left for (query, _), (left, _) in texts}, before)
        self._documents.look({document: right for (_, document), (_, right) in texts}, frame.length - before)

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
        if self._head.uses_pooler:  # the encoder's, which modules may change
            self._head.dense = pooler_of(self.shared.encoder.encoder, self.base).to(self.shared.device)
        self._source, self._of = source, self.shared.resident
        return self._head


def _note(shortened: int, pairs: int, limits: Collection[int]) -> str:
    limit = f"{min(limits)}" if len(set(limits)) == 1 else f"{min(limits)} to {max(limits)}"
    return f"cross-encoder: {shortened:,} of {pairs:,} pairs are longer than {limit} word pieces and were cut to that"
