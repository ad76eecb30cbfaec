"""The documents of CLEF newspapers, streamed from their files, with the file and the byte of whatever is wrong."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from xlrank.collections.clef.layouts import LATIN, UTF8, Layout
from xlrank.collections.clef.sgml import LONGEST_DOCUMENT, Scanner, TooLongError, pieces
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, open_packed

ARCHIVES = (".zip", ".tar", ".tgz", ".z", ".bz2", ".7z")
BLANKS = {
    encoding: bytes(32 if code < 32 or code in also else code for code in range(256))
    for encoding, also in ((UTF8, (127,)), (LATIN, range(127, 161)))
}
"""Bytes with blanks for control characters (and, where it is one byte, for the no-break space), by encoding."""

TELLING = 5
"""Characters beyond ASCII after which a file that is UTF-8 throughout is taken to be UTF-8. Text in ISO-8859-1 never looks like
it, but a newspaper may hold a character or two that somebody garbled so."""


def read_documents(files: Iterable[tuple[Path, Layout]]) -> Iterator[Document]:
    """The documents of several files; all of a document is in its text, in the published order of fields, and no title apart.

    The published loader takes of a field only what stands before the first tag in it; here the rest is kept, too.

    Raises:
        XlrankError: a file is cut short, damaged, in another encoding or holds no documents; a document has no id, or one that
            another has. The message names the file and how far in it.
    """
    seen: dict[str, Path] = {}
    for path, layout in files:
        for document in _File(path, layout):
            if document.id in seen:
                other = "twice in it" if seen[document.id] == path else f"in {seen[document.id]}, too"
                raise XlrankError(f"{path}: document {document.id!r} stands {other}; ids must be unique, remove the copy")
            seen[document.id] = path
            yield document


class _File:
    """The documents of one file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._scanner = Scanner(layout.fields, layout.id)
        self._is_latin, self._beyond_ascii = False, 0
        self._count, self._offset = 0, 0

    def __iter__(self) -> Iterator[Document]:
        if self.path.suffix.lower() in ARCHIVES:
            raise XlrankError(f"{self.path}: a packed archive; unpack it beside itself and remove it (only .gz and .xz are read)")
        try:
            with open_packed(self.path) as stream:
                for piece in pieces(stream):
                    self._offset = piece.offset
                    document = self._document(piece.raw, piece.at_end)
                    self._count += 1
                    yield document
        except TooLongError as error:
            raise self._bad(
                f"no </DOC> within {LONGEST_DOCUMENT // 2**20} MiB of the <DOC> at byte {error.args[0]}; expected CLEF's SGML"
            ) from None
        except DAMAGE as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise self._bad(f"cannot be read after {self._far()} ({reason}); it is cut short or damaged, copy it again") from None
        if not self._count:
            raise self._bad("holds no <DOC>; expected documents of " + self.layout.name + ": remove the file or copy it again")

    def _document(self, raw: bytes, at_end: bool) -> Document:
        scanned = self._scanner.scan(self._text(raw))
        if at_end and (scanned.is_open or not scanned.id):
            inside = f"document {scanned.id!r}" if scanned.id else "a document"
            raise self._bad(f"ends in the middle of {inside}, after {self._far()}; it is cut short, copy it again")
        if not scanned.id or " " in scanned.id:
            tag = self.layout.id.upper()
            raise self._bad(f"after {self._far()}: expected an id without blanks in <{tag}>, found {scanned.id!r}; mend the file")
        return Document(scanned.id, scanned.text)

    def _text(self, raw: bytes) -> str:
        encoding = self.layout.encoding
        if encoding == LATIN and not self._is_latin and not raw.isascii():
            self._check_latin(raw)
        try:
            return raw.translate(BLANKS[encoding]).decode(encoding)
        except UnicodeDecodeError as error:
            far = self._offset + error.start
            raise self._bad(f"not UTF-8 at byte {far}, as {self.layout.name} is; convert the file with iconv -t UTF-8") from None

    def _check_latin(self, raw: bytes) -> None:
        """That the file is not UTF-8, as far as a document with characters beyond ASCII can tell."""
        try:
            text = raw.decode(UTF8)
        except UnicodeDecodeError:
            self._is_latin = True
            return
        self._beyond_ascii += len(text) - sum(map(str.isascii, text))
        if self._beyond_ascii >= TELLING:
            mend = "convert the file with iconv -f UTF-8 -t ISO-8859-1"
            raise self._bad(f"is UTF-8 (seen after {self._far()}), where {self.layout.name} is ISO-8859-1; {mend}")

    def _far(self) -> str:
        return f"{self._count} document{'s' * (self._count != 1)} ({self._offset} bytes)"

    def _bad(self, problem: str) -> XlrankError:
        return XlrankError(f"{self.path}: {problem}")
