"""Which script letters belong to: a text in the wrong language often shows by it."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

NAMES = {"Han": ("CJK",), "Hiragana": ("HIRAGANA", "KATAKANA", "CJK")}
"""First words of the Unicode names of a script's letters, where they are not the script's own name."""


def script_share(texts: Iterable[str], script: str, most: int | None = None) -> float | None:
    """Share of the letters that belong to a script; None where there are no letters, or the script is unknown.

    Args:
        texts: looked at one by one.
        script: as :mod:`xlrank.languages` names it; may be empty.
        most: characters after which no further text is looked at.
    """
    if not script:
        return None
    wanted = NAMES.get(script, (script.upper(),))
    letters = ours = characters = 0
    for text in texts:
        found = [_name(character) for character in text if character.isalpha()]
        letters += len(found)
        ours += sum(name in wanted for name in found)
        characters += len(text)
        if most is not None and characters > most:
            break
    return ours / letters if letters else None


@lru_cache(maxsize=1 << 14)
def _name(character: str) -> str:
    """The first word of a letter's Unicode name: ``CYRILLIC``, ``CJK``."""
    return unicodedata.name(character, "").replace("-", " ").partition(" ")[0]
