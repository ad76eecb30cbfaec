"""Last states of rows of word pieces, padded together or alone."""

import torch

from tests.conftest import snapshot
from xlrank.bases import Base, LastStates


def test_states_are_the_encoders_own(tiny_base: Base) -> None:
    before = snapshot(tiny_base)
    rows = [tiny_base.tokenizer(text)["input_ids"] for text in ("the river and the bridge", "алма")]
    states, mask = LastStates(tiny_base, "fp32")(rows)
    assert mask.sum(dim=1).tolist() == [len(row) for row in rows]
    assert states.shape == (2, max(map(len, rows)), 32)
    for row, found in zip(rows, states, strict=True):
        with torch.inference_mode():
            alone = tiny_base.encoder(input_ids=torch.tensor([row])).last_hidden_state[0]
        torch.testing.assert_close(found[: len(row)], alone, atol=1e-5, rtol=1e-5)
    assert snapshot(tiny_base) == before
