"""Texts that are encoded alone: prompts, cuts, what is content, and padding."""

import pytest

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.ranking.texts import TextEncoder, word_pieces

TEXTS = ["the river and the bridge", "", "a school", " \t\n", "water"]


@pytest.fixture(params=["tiny_base", "tiny_xlmr_base"])
def base(request: pytest.FixtureRequest) -> Base:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def pieces(base: Base, text: str) -> list[str]:
    found: list[str] = base.tokenizer.tokenize(text)
    return found


def test_prompt_and_special_tokens_surround_the_content(base: Base) -> None:
    (one,) = TextEncoder(base, "query: ", 64).encode(["the river"])
    tokens = base.tokenizer.convert_ids_to_tokens(one.ids)
    assert tokens == [base.tokenizer.cls_token, *pieces(base, "query:"), *pieces(base, "the river"), base.tokenizer.sep_token]
    assert tokens[one.start : one.stop] == pieces(base, "the river")


@pytest.mark.parametrize("prompt", ["", " ", "query: "])
def test_a_text_stands_as_the_tokenizer_would_frame_it(base: Base, prompt: str) -> None:
    (one,) = TextEncoder(base, prompt, 64).encode(["the river"])
    assert one.ids == base.tokenizer(f"{prompt}the river")["input_ids"]


def test_texts_without_content_are_prompt_only(base: Base) -> None:
    encoded = TextEncoder(base, "passage: ", 64).encode(TEXTS)
    before = 1 + len(pieces(base, "passage:"))
    for text, one in zip(TEXTS, encoded, strict=True):
        assert one.start == before
        assert (one.stop == one.start) == (not text.strip())
        assert len(one.ids) == one.stop + 1


def test_long_texts_are_cut_at_their_end(base: Base) -> None:
    text = "the river and the bridge of the market " * 20
    (whole,) = TextEncoder(base, "query: ", 1000).encode([text])
    (cut,) = TextEncoder(base, "query: ", 20).encode([text])
    assert len(whole.ids) == base.max_length == 64, "a text is never longer than the base takes"
    assert len(cut.ids) == 20
    assert cut.ids[:-1] == whole.ids[:19]
    assert cut.ids[-1] == whole.ids[-1] == base.tokenizer.sep_token_id


def test_a_length_without_room_is_refused(base: Base) -> None:
    least = 3 + len(pieces(base, "query:"))
    (one,) = TextEncoder(base, "query: ", least).encode(["the river"])
    assert one.stop - one.start == 1
    with pytest.raises(XlrankError) as caught:
        TextEncoder(base, "query: ", least - 1)
    assert str(caught.value) == (
        f"late interaction: {least - 1} word pieces leave no room beside the prompt 'query: '; expected at least {least}"
    )


def test_a_batch_is_padded_and_knows_its_content(base: Base) -> None:
    encoder = TextEncoder(base, "query: ", 64)
    rows = encoder.encode(TEXTS)
    batch = encoder.batch(rows, [0, 1, 2, 1, 0])
    assert batch.input_ids.shape == (5, max(len(row.ids) for row in rows))
    for number, row in enumerate(rows):
        length = len(row.ids)
        assert batch.input_ids[number, :length].tolist() == row.ids
        assert set(batch.input_ids[number, length:].tolist()) <= {base.tokenizer.pad_token_id}
        assert batch.attention_mask[number].tolist() == [1] * length + [0] * (batch.input_ids.shape[1] - length)
        assert batch.content[number].nonzero().flatten().tolist() == list(range(row.start, row.stop))
    assert batch.variants is not None and batch.variants.tolist() == [0, 1, 2, 1, 0]
    assert not batch.sides.any() and not batch.token_type_ids.any()


def test_content_is_no_input_of_the_encoder(base: Base) -> None:
    encoder = TextEncoder(base, "", 64)
    batch = encoder.batch(encoder.encode(["water"]))
    assert set(batch.inputs()) == {"input_ids", "attention_mask", "token_type_ids", "sides"}
    more = encoder.batch(encoder.encode(["water"]), [0])
    assert set(more.inputs()) == {*batch.inputs(), "variants"}


def test_word_pieces_of_distinct_texts(base: Base) -> None:
    found = word_pieces(base, ["water", "", "a\x00school", "water"])
    assert list(found) == ["water", "", "a\x00school"]
    assert found[""] == []
    assert base.tokenizer.convert_ids_to_tokens(found["a\x00school"]) == pieces(base, "a school")
    assert word_pieces(base, []) == {}
