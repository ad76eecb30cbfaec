"""Word vectors with sparse differences against a table that was changed as a whole."""

import pytest
import torch

from tests.conftest import make_adapter, make_mask
from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.composition.layers import PatchedEmbedding
from xlrank.modules.weights import Edit, SparseEdit, edited, edits_of

WORDS = "embeddings.word_embeddings.weight"


def edits(base: Base, *seeds: int) -> list[Edit]:
    return edits_of([make_mask(base, "ky", seed) for seed in seeds], base)[WORDS]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seeds", [(1,), (1, 2), (3, 3, 4)])
def test_a_patched_table_gives_the_changed_tables_vectors(tiny_base: Base, seeds: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = tiny_base.encoder.get_input_embeddings().weight.detach()
    found = edits(tiny_base, *seeds)
    patched, table = PatchedEmbedding(weight, found, dtype), edited(weight, found)  # type: ignore[arg-type]
    ids = torch.randint(len(weight), (5, 7), generator=torch.Generator().manual_seed(0))
    assert torch.equal(patched(ids), table[ids].to(dtype)), "to the last bit"
    assert torch.equal(patched(torch.arange(len(weight))), table.to(dtype))
    assert torch.equal(patched.table(), table)
    assert patched(ids[:0]).shape == (0, 7, weight.shape[1])


def test_words_without_differences_are_the_bases(tiny_base: Base) -> None:
    weight = tiny_base.encoder.get_input_embeddings().weight.detach()
    hidden = weight.shape[1]
    edit = SparseEdit("m", WORDS, torch.tensor([2 * hidden, 3 * hidden - 1], dtype=torch.int32), torch.tensor([1.0, -2.0]))
    patched = PatchedEmbedding(weight, [edit], torch.float32)
    expected = weight.clone()
    expected[2, 0] += 1
    expected[2, -1] -= 2
    assert torch.equal(patched(torch.tensor([[0, 2, 2], [1, 3, 2]])), expected[torch.tensor([[0, 2, 2], [1, 3, 2]])])
    assert torch.equal(weight, tiny_base.encoder.get_input_embeddings().weight)


def test_positions_in_any_order_are_applied_to_the_whole_table(tiny_base: Base) -> None:
    weight = tiny_base.encoder.get_input_embeddings().weight.detach()
    edit = SparseEdit("m", WORDS, torch.tensor([7, 3, 7]), torch.tensor([1.0, 2.0, 4.0]))
    encoder = ComposedEncoder(tiny_base, edits={WORDS: [edit]})
    words = encoder.layers["embeddings"].word_embeddings
    assert not isinstance(words, PatchedEmbedding)
    expected = weight.clone().view(-1)
    expected[3] += 2
    expected[7] += 5
    assert torch.equal(words.weight.view(-1), expected)


def test_gradients_take_the_other_way_through_adapters(tiny_base: Base) -> None:
    """Without gradients sums are changed in place; with them they are not, and both give the same."""
    from tests.conftest import make_batch
    from xlrank.composition import as_composition
    from xlrank.composition.compose import compose

    batch = make_batch(tiny_base, [("дарыя", "the river"), ("суу", "a school in winter")])
    encoder = compose(tiny_base, as_composition(make_adapter(tiny_base, "ky", 1, attention=True)))
    with_gradients = encoder(**batch.tensors())
    with torch.no_grad():
        torch.testing.assert_close(encoder(**batch.tensors()), with_gradients.detach(), atol=1e-5, rtol=0)
