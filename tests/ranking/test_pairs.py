"""Pairs are cut and framed as the tokenizer itself would, and batched without losing one."""

import random
from typing import Any

import pytest
import torch

from tests.conftest import LETTERS, POSITIONS, WORDS
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.ranking.pairs import Batch, PairEncoder, batches_by_length, cut

BASES = pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])


def words(count: int, seed: int) -> str:
    choice = random.Random(seed)
    return " ".join(choice.choice([*WORDS, *LETTERS]) for _ in range(count))


def step_by_step(query: int, document: int, budget: int) -> tuple[int, int]:
    """Drop token by token from the longer side; the side that was longer at first keeps the odd one."""
    document_first = query > document
    while query + document > budget:
        if query > document or (query == document and not document_first):
            query -= 1
        else:
            document -= 1
    return query, document


def test_cutting_equals_dropping_token_by_token_from_the_longer_side() -> None:
    cases = [(q, d, budget) for q in range(1, 24) for d in range(1, 24) for budget in range(2, 30)]
    assert [case for case in cases if cut(*case) != step_by_step(*case)] == []


PAIRS = [(1, 1), (3, 100), (100, 3), (100, 100), (30, 31), (31, 30), (25, 90), (90, 25), (40, 40)]


def encoded(base: Base, max_length: int, lengths: tuple[int, int]) -> tuple[list[int], list[int]]:
    """What we and what the tokenizer make of a pair of texts of so many words."""
    query, document = words(lengths[0], 1), words(lengths[1], 2)
    left, right = PairEncoder(base, max_length).encode([(query, document)])[0]
    tokenizer: Any = base.tokenizer
    theirs = tokenizer(query, document, truncation="longest_first", max_length=max_length)["input_ids"]
    return [*left, *right], theirs


@pytest.mark.parametrize("lengths", PAIRS, ids=str)
@pytest.mark.parametrize("budget", [20, 40, 60])
@BASES
def test_ids_are_the_tokenizers(fixture: str, budget: int, lengths: tuple[int, int], request: pytest.FixtureRequest) -> None:
    base: Base = request.getfixturevalue(fixture)
    ours, theirs = encoded(base, budget + base.frame.length, lengths)
    assert ours == theirs


@BASES
def test_ids_are_the_tokenizers_when_an_odd_number_of_tokens_fits(fixture: str, request: pytest.FixtureRequest) -> None:
    # Fast tokenizers give the odd token to the longer text, the document if both are as long; a BERT of 512 has room for 509.
    base: Base = request.getfixturevalue(fixture)
    both = [encoded(base, 21 + base.frame.length, lengths) for lengths in PAIRS]
    assert [lengths for lengths, (ours, theirs) in zip(PAIRS, both, strict=True) if ours != theirs] == []


@BASES
def test_a_batch_is_what_the_tokenizer_pads(fixture: str, request: pytest.FixtureRequest) -> None:
    base: Base = request.getfixturevalue(fixture)
    pairs = [("the river", "bridge"), ("көпүрө", "the market of the winter"), ("a", "b")]
    encoder, tokenizer = PairEncoder(base), base.tokenizer
    batch = encoder.batch(encoder.encode(pairs))
    theirs: Any = tokenizer(
        [q for q, _ in pairs], [d for _, d in pairs], padding=True, return_tensors="pt", return_token_type_ids=True
    )
    assert torch.equal(batch.input_ids, theirs["input_ids"])
    assert torch.equal(batch.attention_mask, theirs["attention_mask"])
    types = theirs["token_type_ids"] if base.frame.types_differ else torch.zeros_like(batch.input_ids)
    assert torch.equal(batch.token_type_ids, types)
    assert {tensor.dtype for tensor in batch.tensors().values()} == {torch.int64}
    assert batch.variants is None


@BASES
def test_the_querys_side_ends_with_the_first_separator(fixture: str, request: pytest.FixtureRequest) -> None:
    base: Base = request.getfixturevalue(fixture)
    encoder = PairEncoder(base)
    rows = encoder.encode([("the river", "bridge"), ("a", "the market of the winter")])
    batch: Batch = encoder.batch(rows)
    separator = base.tokenizer.sep_token_id
    for row, (left, right) in enumerate(rows):
        assert left[-1] == right[-1] == separator
        assert left.count(separator) == 1
        assert batch.sides[row].tolist() == [0] * len(left) + [1] * (batch.sides.shape[1] - len(left))


def test_each_text_is_tokenised_once(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = PairEncoder(tiny_base)
    _ = tiny_base.frame
    seen: list[str] = []
    tokenizer = tiny_base.tokenizer

    def counting(texts: list[str], **options: Any) -> Any:  # noqa: ANN401 - the tokenizer's own types
        seen.extend(texts)
        return tokenizer(texts, **options)

    monkeypatch.setitem(tiny_base.__dict__, "tokenizer", counting)
    rows = encoder.encode([("a", "b"), ("a", "c"), ("d", "b"), ("a", "b")])
    assert sorted(seen) == ["a", "b", "c", "d"]
    assert rows[0] == rows[3]


def test_texts_are_cleaned(tiny_base: Base) -> None:
    encoder = PairEncoder(tiny_base)
    assert encoder.encode([("a\u200f\ud800b", "\x00river\n\u2028bridge")]) == encoder.encode([("ab", "river bridge")])


@pytest.mark.parametrize(("pair", "what"), [(("", "b"), "query"), (("a", " \n\u200e"), "document"), (("\ud800", "b"), "query")])
def test_an_empty_text_is_refused(tiny_base: Base, pair: tuple[str, str], what: str) -> None:
    with pytest.raises(XlrankError, match=f"ranking: a {what} is empty"):
        PairEncoder(tiny_base).encode([("a", "b"), pair])


def test_pairs_of_their_own_lengths_and_without_content(tiny_base: Base) -> None:
    long, encoder = words(200, 1), PairEncoder(tiny_base)
    pairs = [("a", long), ("", long), ("a", "b"), ("a", "\u200d"), ("b", long), (" ", "")]
    found = encoder.encode_to(pairs, [10, 10, 10, 10, 12, 10])
    assert {number: len(left) + len(right) for number, (left, right) in found.encoded.items()} == {0: 10, 2: 5, 4: 12}
    assert found.blanks == [(1, "query"), (3, "document"), (5, "query")]
    assert found.shortened == 2
    assert found.encoded[2] == encoder.encode([("a", "b")])[0]


def test_the_length_is_at_most_the_bases(tiny_base: Base) -> None:
    pair = (words(200, 1), words(200, 2))
    for wanted, length in ((None, POSITIONS), (1000, POSITIONS), (10, 10), (5, 5)):
        left, right = PairEncoder(tiny_base, wanted).encode([pair])[0]
        assert len(left) + len(right) == length
    with pytest.raises(XlrankError, match="max_length 4: too short for a pair; expected at least 5"):
        PairEncoder(tiny_base, 4)


@pytest.mark.parametrize("tokens", [1, 16, 64, 1000])
def test_batches_cover_everything_once_within_the_budget(tokens: int) -> None:
    lengths = [random.Random(i).randrange(1, 40) for i in range(100)]
    batches = batches_by_length(lengths, tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(100))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert longest * len(batch) <= tokens or len(batch) == 1
    order = [lengths[i] for batch in batches for i in batch]
    assert order == sorted(order, reverse=True)
    assert batches == batches_by_length(lengths, tokens)


def test_no_lengths_make_no_batches() -> None:
    assert batches_by_length([], 10) == []
