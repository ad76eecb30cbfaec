"""Shares of scripts among the letters of texts."""

import pytest

from xlrank.languages import LANGUAGES
from xlrank.scripts import script_share


@pytest.mark.parametrize(
    ("text", "script", "share"),
    [
        ("көпүрө 123", "Cyrillic", 1),
        ("ab где, 12", "Cyrillic", 3 / 5),
        ("桥 ab", "Han", 1 / 3),
        ("橋をわたる カメラ", "Hiragana", 1),
        ("كۆۋرۈك", "Arabic", 1),
        ("abc", "Arabic", 0),
        ("123", "Latin", None),
        ("", "Latin", None),
    ],
)
def test_the_share_of_a_script(text: str, script: str, share: float | None) -> None:
    assert script_share([text], script) == (None if share is None else pytest.approx(share))


def test_all_texts_count_up_to_so_many_characters() -> None:
    assert script_share(["abc", "", "где"], "Latin") == 0.5
    assert script_share(["abc", "где", "где"], "Latin", most=5) == 0.5
    assert script_share(["abcdef", "где"], "Latin", most=5) == 1


def test_every_language_knows_its_own_name_for_its_letters() -> None:
    own = {
        "ky": "кыргызча",
        "ug": "ئۇيغۇرچە",
        "zh": "中文",
        "ja": "日本語ひらがな",
        "ko": "한국어",
        "th": "ไทย",
        "el": "ελληνικά",
        "hi": "हिन्दी",
    }
    for code, text in own.items():
        if code in LANGUAGES:
            assert script_share([text], LANGUAGES[code].script) == 1, code


def test_an_unknown_script_has_no_share() -> None:
    assert script_share(["abc"], "") is None
