"""Translated texts on disk, for reading and for going on: a TSV with its provenance at the head, longer by each text."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, unwritable, write_text
from xlrank.text import clean

TITLE = "# xlrank: translated texts, source TAB translation"


class TranslationStore:
    """Text to translation, in ``translations/SOURCE-TARGET-KEY.tsv`` of the cache.

    Every text is appended as soon as it is translated, so that an interrupted translation goes on where it stopped. A last
    line that was cut short is dropped.

    Args:
        provenance: what decides the translations, by name; its values are JSON. It is the file's head and its key.
        source: language of the texts.
        target: language of the translations.

    Raises:
        XlrankError: the file exists and cannot be read.
    """

    def __init__(self, provenance: Mapping[str, Any], source: str, target: str) -> None:
        self.head = {**provenance, "source": source, "target": target}
        key = content_key(self.head)
        name = re.sub(r"[^\w.-]+", "-", str(provenance.get("model", "")).rstrip("/").rpartition("/")[2])[:60]
        self.path = cache_folder() / "translations" / f"{source}-{target}-{name}-{key}.tsv"
        self._known = self._read()

    def __contains__(self, text: str) -> bool:
        return text in self._known

    def __getitem__(self, text: str) -> str:
        return self._known[text]

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Append texts with their translations and hand them to the operating system; white space becomes single spaces.

        Raises:
            XlrankError: the file cannot be written.
        """
        rows = [(text, " ".join(clean(translation).split())) for text, translation in pairs]
        if not self.path.is_file():
            head = "".join(f"# {name}: {_one_line(value)}\n" for name, value in self.head.items())
            write_text(self.path, f"{TITLE}\n{head}")
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.writelines(f"{text}\t{translation}\n" for text, translation in rows)
        except OSError as error:
            raise unwritable(self.path, error) from None
        self._known.update(rows)

    def _read(self) -> dict[str, str]:
        if not self.path.is_file():
            return {}
        try:
            whole, newline, rest = self.path.read_bytes().rpartition(b"\n")
            text = (whole + newline).decode("utf-8")
            if rest:
                write_text(self.path, text)
        except (OSError, UnicodeDecodeError) as error:
            raise XlrankError(f"{self.path}: cannot be read ({error}); delete it, and the texts are translated again") from None
        rows = (line.split("\t") for line in text.split("\n"))
        return {row[0]: row[1] for row in rows if len(row) == 2}


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
