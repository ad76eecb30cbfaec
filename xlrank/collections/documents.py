"""The documents of a collection on disk: parsed once, then read one by one, by number or by id, within little memory."""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from xlrank.collections.passages import PassageFile
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import build_once, cache_folder, content_key, read_json, replacing, write_json
from xlrank.progress import Progress
from xlrank.text import NAMED, clean

FORMAT = 2
"""Part of every store's name: raise it when the same files are to be parsed in another way."""


EVERY = 1000
"""Documents between two reports of progress."""


class Documents(Sequence[Document]):
    """Documents in a folder of the cache: ``documents.tsv`` (id, title, text), an index of ids, and ``facts.json``.

    Attributes:
        folder: where they lie.
        facts: ``documents``, ``empty`` (how many have no text at all), ``empty_ids`` (the first of them), ``digest``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = read_json(folder / "facts.json")
        self._lines = PassageFile(folder / "documents.tsv", folder / "index.npy") if self.facts["documents"] else None

    @classmethod
    def stored(
        cls, name: str, identity: object, read: Callable[[], Iterable[Document]], progress: Progress | None = None
    ) -> "Documents":
        """The documents that ``read`` gives, from the cache where it has been called before.

        Args:
            name: start of the folder's name, for those who look into the cache.
            identity: any JSON value that changes when ``read`` would give something else.
            read: gives the documents, with unique ids.
            progress: told what goes on.

        Raises:
            XlrankError: an id is repeated, or holds white space; or whatever ``read`` raises.
        """
        folder = cache_folder() / "documents" / f"{name}-{content_key(FORMAT, identity)}"
        build_once(folder, (folder / "facts.json").is_file, lambda: _store(folder, read, progress))
        return cls(folder)

    @property
    def digest(self) -> str:
        """SHA-256 over all ids, titles and texts in their order, hexadecimal; see :func:`texts_digest`."""
        return str(self.facts["digest"])

    @cached_property
    def ids(self) -> list[str]:
        """All ids, in order."""
        return [document.id for document in self]

    def fetch(self, ids: Iterable[str]) -> dict[str, Document]:
        """The documents with these ids; what does not exist is left out."""
        found: dict[str, Document] = {}
        for id_ in dict.fromkeys(ids):
            line = self._lines.get(id_) if self._lines else None
            if line is not None:
                found[id_] = _document(id_, line)
        return found

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of some ids that no document has, each once; their texts are not parsed."""
        return [id_ for id_ in dict.fromkeys(ids) if self._lines is None or self._lines.get(id_) is None]

    def __contains__(self, item: object) -> bool:
        """Whether there is a document with this id, or equal to this document."""
        if isinstance(item, Document):
            return self.fetch([item.id]).get(item.id) == item
        return isinstance(item, str) and not self.missing([item])

    def __len__(self) -> int:
        return int(self.facts["documents"])

    def __iter__(self) -> Iterator[Document]:
        if self._lines is not None:
            for id_, line in self._lines.items():
                yield _document(id_, line)

    @overload
    def __getitem__(self, number: int) -> Document: ...

    @overload
    def __getitem__(self, number: slice) -> list[Document]: ...

    def __getitem__(self, number: int | slice) -> Document | list[Document]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if self._lines is None or not -len(self) <= number < len(self):
            raise IndexError(number)
        return _document(*self._lines.item(number % len(self)))


def fetched(documents: Sequence[Document], ids: Iterable[str]) -> dict[str, Document]:
    """The documents with these ids.

    Raises:
        XlrankError: one is not among them.
    """
    wanted = set(ids)
    if isinstance(documents, Documents):
        found = documents.fetch(wanted)
    else:
        found = {document.id: document for document in documents if document.id in wanted}
    for absent in sorted(wanted - found.keys()):
        raise XlrankError(f"document {absent!r} is not in the collection; the run was made for another one")
    return found


def drawn(documents: Sequence[Document], count: int, seed: int) -> list[Document]:
    """At most ``count`` documents, drawn at random, in their order."""
    total = len(documents)
    numbers = sorted(random.Random(seed).sample(range(total), count)) if total > count else range(total)
    return [documents[number] for number in numbers]


def texts_digest(documents: Sequence[Document]) -> str:
    """SHA-256 over all ids, titles and texts in their order, hexadecimal; known at once for :class:`Documents`.

    Texts count as they are compared (:func:`xlrank.text.clean`), so the digest does not depend on how they were typed.

    Raises:
        XlrankError: there are no documents, or an id is empty, occurs twice, or holds white space or broken Unicode.
    """
    if not documents:
        raise XlrankError("there are no documents to index")
    if isinstance(documents, Documents):
        return documents.digest
    digest, seen = hashlib.sha256(), set[str]()
    for document in documents:
        check_id(document.id, seen)
        digest.update(_compared(document))
    return digest.hexdigest()


def check_id(id: str, seen: set[str], place: str = "document id") -> None:
    """Refuse an id that no TREC file can carry, or that ``seen`` holds; then add it there."""
    if not id or any(character.isspace() or "\ud800" <= character <= "\udfff" for character in id):
        raise XlrankError(f"{place} {id!r} is empty or holds white space or broken Unicode, which TREC files cannot carry")
    if id in seen:
        raise XlrankError(f"{place} {id!r} stands twice; ids must be unique")
    seen.add(id)


def _store(folder: Path, read: Callable[[], Iterable[Document]], progress: Progress | None) -> None:
    with replacing(folder) as temporary:
        temporary.mkdir()
        _write(temporary, read(), progress)
        if read_json(temporary / "facts.json")["documents"]:
            PassageFile(temporary / "documents.tsv", temporary / "index.npy")


def _write(folder: Path, documents: Iterable[Document], progress: Progress | None) -> None:
    digest, seen, empty = hashlib.sha256(), set[str](), 0
    empty_ids: list[str] = []
    with (folder / "documents.tsv").open("wb") as stream:
        for document in documents:
            check_id(document.id, seen)
            digest.update(_compared(document))
            stream.write(_line(document))
            if not (document.text or document.title):
                empty += 1
                empty_ids += [document.id] if len(empty_ids) < NAMED else []
            if progress and len(seen) % EVERY == 0:
                progress(len(seen), 0)
    if progress:
        progress(len(seen), len(seen))
    facts = {"documents": len(seen), "empty": empty, "empty_ids": empty_ids, "digest": digest.hexdigest()}
    write_json(folder / "facts.json", facts)


def _line(document: Document) -> bytes:
    # JSON, so that whatever a text holds stays on its line.
    return f"{document.id}\t{json.dumps([document.title, document.text], ensure_ascii=False)}\n".encode("utf-8", "replace")


def _compared(document: Document) -> bytes:
    return _line(Document(document.id, clean(document.text), clean(document.title)))


def _document(id: str, line: str) -> Document:
    title, text = json.loads(line)
    return Document(id, text, title)
