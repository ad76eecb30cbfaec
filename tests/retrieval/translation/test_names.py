"""Names in several scripts: a common spelling, and a distance in which what scripts write loosely costs little."""

import numpy as np
import pytest

from xlrank.retrieval.translation.names import Spellings
from xlrank.retrieval.translation.romanise import LETTERS, romanise

WORDS = ["talas", "ronaldo", "rolando", "bolivia", "catalonia", "kavanaugh", "school", "the", "2018"]


@pytest.mark.parametrize(
    ("words", "spelling"),
    [
        (("Чехов".lower(), "chekhov"), None),
        (("шанхай", "shanghai"), None),
        (("джакарта", "jakarta"), "Jakarta"),
        (("erdoğan", "erdogan"), "erdogan"),
        (("رونالدو",), "runaldu"),
        (("塔拉斯",), ""),
    ],
)
def test_a_common_spelling(words: tuple[str, ...], spelling: str | None) -> None:
    spelt = [romanise(word) for word in words]
    assert all(set(one) <= set(LETTERS) for one in spelt)
    if spelling is not None:
        assert set(spelt) == {spelling}
    else:
        assert spelt[0][0] == spelt[1][0]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [("таласта", "talas"), ("роналду", "ronaldo"), ("رونالدو", "ronaldo"), ("کاتالونیا", "catalonia"), ("boliviassa", "bolivia")],
)
def test_the_likest_word_is_the_same_name(asked: str, wanted: str) -> None:
    found = Spellings(WORDS).alike([asked])
    assert WORDS[int(found.document[np.argmax(found.likeness)])] == wanted
    assert found.likeness.max() > 0.85


def test_what_has_no_spelling_to_go_by() -> None:
    spellings = Spellings(WORDS)
    assert list(spellings.lengths[[7, 8]]) == [0, 0], "short words and figures"
    assert len(spellings.alike(["塔拉斯", "2018", "от"]).query) == 0
    assert len(Spellings(["the", "a"]).alike(["таласта"]).query) == 0
    assert len(spellings.alike([]).query) == 0


def test_pairs_come_in_the_order_of_the_words_asked() -> None:
    found = Spellings(WORDS).alike(["роналду", "塔拉斯", "таласта"], 0.5)
    assert list(found.query) == sorted(found.query)
    assert set(found.query) == {0, 2}
