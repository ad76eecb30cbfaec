"""What turns topics of one language into topics of another."""

from collections.abc import Sequence
from typing import Any, Protocol

from xlrank.collections.records import Topic
from xlrank.progress import Progress


class Translator(Protocol):
    """A way of translating topics."""

    @property
    def identity(self) -> Any:  # noqa: ANN401 - JSON values
        """JSON values that change whenever a translation may; cheap: no model is loaded for it.

        Raises:
            XlrankError: what it translates with is missing.
        """

    def translate(self, topics: Sequence[Topic], source: str, target: str, progress: Progress | None = None) -> list[Topic]:
        """The topics in another language, in their order, with the same ids.

        Args:
            topics: in the source language.
            source: their language; any code or name that :func:`xlrank.languages.language_code` knows.
            target: the language wanted.
            progress: told what goes on.

        Raises:
            XlrankError: it cannot be done; the message says why.
        """
