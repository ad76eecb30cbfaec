"""Word pieces as a reader knows them, whatever a tokenizer calls them."""

from collections.abc import Sequence

from xlrank.bases import Base

SPACE, CONTINUED = "▁", "##"
"""SentencePiece's mark of a space, and WordPiece's of a word that goes on."""


class Pieces:
    """Turns the numbers of word pieces into text, each piece alone; the same number always gives the same text.

    Args:
        base: whose tokenizer it is.
    """

    def __init__(self, base: Base) -> None:
        self._tokenizer = base.tokenizer
        self._known: dict[int, str] = {}

    def __call__(self, ids: Sequence[int]) -> list[str]:
        """The pieces without the tokenizer's marks; one that is nothing but a space stays ``▁``."""
        return [self._known[id_] if id_ in self._known else self._known.setdefault(id_, self._text(id_)) for id_ in ids]

    def _text(self, id_: int) -> str:
        text = str(self._tokenizer.decode([id_], skip_special_tokens=False, clean_up_tokenization_spaces=False)).strip()
        shown = text.replace(SPACE, " ").strip()
        if len(shown) > len(CONTINUED):
            shown = shown.removeprefix(CONTINUED)
        return shown or SPACE
