"""The table of languages: codes, aliases, and which module stands in for a language without one."""

import pytest

from xlrank.errors import XlrankError
from xlrank.languages import ALIASES, LANGUAGES, kinship, language_code, nearest, relatives


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ky", "ky"),
        ("kg", "ky"),
        ("KIR", "ky"),
        ("Kyrgyz", "ky"),
        (" en ", "en"),
        ("uig", "ug"),
        ("pes", "fa"),
        ("cmn", "zh"),
        ("German", "de"),
        ("yo", "yo"),
        ("Hausa", "ha"),
        ("yor", "yo"),
        ("gre", "el"),
        ("bho", "bho"),
    ],
)
def test_codes_aliases_and_names(text: str, code: str) -> None:
    assert language_code(text) == code


@pytest.mark.parametrize("text", ["", "xx", "english language", "k y"])
def test_an_unknown_language_lists_the_known_ones(text: str) -> None:
    with pytest.raises(XlrankError, match="unknown language") as caught:
        language_code(text)
    assert repr(text) in str(caught.value)
    assert "ar, az, bn, da, de, en" in str(caught.value)


def test_languages_of_which_only_the_code_is_known() -> None:
    assert (LANGUAGES["yo"].name, LANGUAGES["yo"].script, LANGUAGES["km"].script) == ("Yoruba", "Latin", "Khmer")
    assert (LANGUAGES["bho"].name, LANGUAGES["bho"].script) == ("bho", "")
    assert "bho" not in LANGUAGES
    with pytest.raises(KeyError):
        LANGUAGES["xx"]
    assert kinship("yo", "yo") == 5
    assert kinship("yo", "ha") == kinship("ha", "en") == 1, "the same script"
    assert kinship("bho", "mai") == kinship("sr", "ku") == 0, "nothing is known of them"
    assert nearest("bho", ["ky", "en"]) == "en"


def test_no_alias_is_a_code_or_belongs_to_two_languages() -> None:
    spoken = [alias for language in LANGUAGES.values() for alias in (*language.aliases, language.name.lower())]
    assert len(spoken) == len(set(spoken)) == len(ALIASES)
    assert not set(spoken) & set(LANGUAGES)
    assert all(code == language.code for code, language in LANGUAGES.items())


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ("ky", "kk", 5),
        ("ky", "ug", 2),
        ("ky", "ru", 1),
        ("ug", "ar", 1),
        ("uz", "ug", 4),
        ("en", "de", 5),
        ("ky", "zh", 0),
        ("ky", "ky", 5),
    ],
)
def test_kinship(one: str, other: str, value: int) -> None:
    assert kinship(one, other) == kinship(other, one) == value


@pytest.mark.parametrize(
    ("language", "available", "expected"),
    [
        ("ug", ["en", "ky"], "ky"),
        ("kk", ["tr", "ky", "ru"], "ky"),
        ("tr", ["az", "ky"], "az"),
        ("uk", ["en", "ru", "ky"], "ru"),
        ("sw", ["ky", "en", "de"], "en"),  # de and en are as near; English decides
        ("zh", ["ru", "ky"], "ky"),  # neither is near; the alphabet decides
    ],
)
def test_nearest(language: str, available: list[str], expected: str) -> None:
    assert nearest(language, available) == expected
    assert nearest(language, available[::-1]) == expected


def test_nothing_to_stand_in() -> None:
    with pytest.raises(XlrankError, match="no language module is available to stand in for 'ug'"):
        nearest("ug", [])


@pytest.mark.parametrize(
    ("language", "available", "expected"),
    [
        ("kk", ["tr", "ky", "ru"], ["ky"]),  # the same branch
        ("ug", ["tr", "ky", "fa", "en"], ["ky", "tr"]),  # the same family
        ("sw", ["tr", "ky", "en", "zh"], ["en", "tr"]),  # the same script
        ("zh", ["ru", "ky", "en"], ["en"]),  # nothing in common: the nearest alone
        ("de", ["en", "nl", "it", "ru"], ["en", "nl"]),
    ],
)
def test_the_closest_circle_of_relatives(language: str, available: list[str], expected: list[str]) -> None:
    assert relatives(language, available) == expected
    assert relatives(language, available[::-1]) == expected


def test_no_relatives_at_all() -> None:
    with pytest.raises(XlrankError, match="no language module is available"):
        relatives("ug", [])
