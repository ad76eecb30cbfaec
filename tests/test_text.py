"""Cleaning makes equal texts equal strings, takes away what harms files, tokenizers and Java, and no letter."""

import unicodedata
from collections.abc import Iterable

import pytest

from xlrank.text import clean, sentences, shortened


@pytest.mark.parametrize(
    "numbers", [range(0x00, 0x20), [0x7F, 0x85, 0x200B, 0x2028, 0x2029, 0xFEFF], range(0x80, 0xA0)], ids=["C0", "odd", "C1"]
)
def test_control_characters_and_line_breaks_become_spaces(numbers: Iterable[int]) -> None:
    assert [hex(number) for number in numbers if clean(f"a{chr(number)}b") != "a b"] == []


@pytest.mark.parametrize("mark", "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_marks_of_direction_vanish(mark: str) -> None:
    assert clean(f"كى{mark}تاب{mark}") == "كىتاب"


def test_lone_surrogates_vanish_and_astral_characters_stay() -> None:
    assert clean("a\ud800b\udfff") == "ab"
    assert clean("😀 𐐷") == "😀 𐐷"
    clean("\ud83d\ude00").encode()


@pytest.mark.parametrize("joiner", "\u200c\u200d")
def test_joiners_stay_within_words_and_vanish_beside_them(joiner: str) -> None:
    assert clean(f"می{joiner}خواهم") == f"می{joiner}خواهم"
    assert clean(f"می{joiner} {joiner}خواهم{joiner}") == "می خواهم"
    assert clean(f"क्{joiner}ष") == f"क्{joiner}ष", "after a sign that is no letter"


@pytest.mark.parametrize(
    "text", ["Kyrönjoki härkä", "Кеңеш ыйык ёлка", "ئۇيغۇر ئەخبار", "Tiếng Việt", "İstanbul ışık", "한국어", "が ガ", "خانهٔ آبی"]
)
def test_composed_and_decomposed_twins_become_one(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert clean(unicodedata.normalize(form, text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("henkilö\u00adkohtainen trans\u2060sek\u034fsuaali", "henkilökohtainen transseksuaali"),
        ("\ufb01n \ufb05 \ufb1d", "fin st \u05d9\u05b4"),
        ("\ufedb\ufe98\ufe8e\ufe8f \ufdf2", "كتاب الله"),
        ("İ".lower() + "stanbul I\u0307", "istanbul İ"),
        ("\u064a\u0654", "\u0626"),
    ],
)
def test_what_looks_the_same_becomes_the_same(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize("text", ["\u200b\u200c\u200d", "\u00ad", "\u2060 \ufeff", " \u200d \u200c"])
def test_nothing_that_can_be_seen_is_nothing(text: str) -> None:
    assert clean(text) == ""


def test_cleaning_twice_changes_nothing() -> None:
    for text in ("i\u0307\u0307 \u200d\u00ad\u200d a", "\u200d \u200c.", "a\u00ad\u0301", "\ufdfa"):
        assert clean(clean(text)) == clean(text)


def test_trimmed() -> None:
    assert clean("\n\t a b \u200f\r\n") == "a b"
    assert clean("\u200e \n\ufeff") == ""


def test_letters_and_combining_marks_are_untouched() -> None:
    text = "Кыргызстан ңүө Ы\u0306 İstanbul ئۇيغۇر 中文 naïve ＡＢＣ ½ “x”…"
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('He said "No." Then (in 2012). What? 3.5 per cent.', ['He said "No."', "Then (in 2012).", "What?", "3.5 per cent."]),
        ("Mr. Smith of the U.S. army went... and came back.", ["Mr. Smith of the U.S. army went... and came back."]),
        (
            "Sen. Doe did it. In 2012, she won by 5. Then no more.",
            ["Sen. Doe did it.", "In 2012, she won by 5.", "Then no more."],
        ),
        ("Бул сүйлөм. Экинчи сүйлөм! Үчүнчү…", ["Бул сүйлөм.", "Экинчи сүйлөм!", "Үчүнчү…"]),
        ("ياخشىمۇ؟ مەن كەلدىم۔ ئۇ.", ["ياخشىمۇ؟", "مەن كەلدىم۔", "ئۇ."]),
        ("你好。他说：“好！”然后走了。", ["你好。", "他说：“好！”", "然后走了。"]),
        (" \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_texts_are_cut_between_words() -> None:
    assert shortened("short", 160) == "short"
    cut = shortened("word " * 100, 160)
    assert cut.endswith("word…") and len(cut) <= 161
    assert shortened("字" * 300, 160) == "字" * 160 + "…"
