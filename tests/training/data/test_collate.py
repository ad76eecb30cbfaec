"""Batches of examples: rows, targets and groups, and that a composed encoder and the losses take them."""

import pytest
import torch

from tests.conftest import HIDDEN, make_ranking
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.composition.compose import compose
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.layers import build_ranking_head, relevance
from xlrank.ranking import Ranker
from xlrank.ranking.pairs import PairEncoder
from xlrank.training.data import Collator, Example
from xlrank.training.losses import ranking_loss

EXAMPLES = [
    Example("the river", ("a river in the water", "the market"), (1, 0)),
    Example("the school", ("apple", "a school and a doctor", "the school in winter"), (0, 1, 1)),
]


def test_a_row_for_each_document(tiny_base: Base) -> None:
    encoder = PairEncoder(tiny_base, 32)
    batch = Collator(encoder)(EXAMPLES)
    pairs = [(example.query, document) for example in EXAMPLES for document in example.documents]
    for name, tensor in encoder.batch(encoder.encode(pairs)).tensors().items():
        assert torch.equal(batch.pop(name), tensor)
    assert batch["labels"].tolist() == [1, 0, 0, 1, 1]
    assert batch["labels"].dtype == torch.float32
    assert batch["groups"].tolist() == [0, 0, 1, 1, 1]
    assert batch["groups"].dtype == torch.int64
    assert set(batch) == {"labels", "groups"}


def test_a_batch_of_ragged_groups_gives_the_rankers_scores_and_a_loss(tiny_base: Base) -> None:
    rank = make_ranking(tiny_base, 3)
    batch = Collator(PairEncoder(tiny_base))(EXAMPLES)
    labels, groups = batch.pop("labels"), batch.pop("groups")
    with torch.inference_mode():
        states = compose(tiny_base, as_composition(rank)).eval()(**batch)
        scores = relevance(build_ranking_head(rank, HIDDEN)(states, batch["attention_mask"], batch["sides"]))
    expected = Ranker(tiny_base, rank, precision="fp32").score(
        [(example.query, document) for example in EXAMPLES for document in example.documents]
    )
    torch.testing.assert_close(scores, torch.from_numpy(expected), atol=1e-4, rtol=1e-4)
    assert ranking_loss("listwise", scores, labels, groups).isfinite()


def test_a_text_without_word_pieces_is_named(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="a document is empty"):
        Collator(PairEncoder(tiny_base))([Example("the river", ("\u200d",), (1,))])
