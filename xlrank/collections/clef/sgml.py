"""Documents out of SGML as newspapers delivered it: cut at ``<DOC>``, then read by a scanner that forgives what they got wrong.

Upper and lower case are the same; end tags may be missing; ``<`` and ``&`` that begin nothing are text; tags that are no field
are left out and the text in them kept. Nothing is held but one document.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from xlrank.text import clean

BLOCK = 2**20
"""Bytes read at once, at most."""

LONGEST_DOCUMENT = 8 * 2**20
"""Bytes of a document at most: without a bound, a file that is something else would be read into memory whole."""

LONGEST_TAG = 300
"""Characters of a tag at most; a longer one is text with a ``<`` in it."""

EDGE = re.compile(rb"<(/?)[dD][oO][cC](?=[\s>])[^<>]{0,%d}>" % LONGEST_TAG)
TAG = re.compile(rf"<[/!?]?[A-Za-z][^<>]{{0,{LONGEST_TAG}}}>")
ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands between ``<DOC>`` and ``</DOC>``, the next ``<DOC>`` or the end of the file.

    Attributes:
        offset: bytes of the file before it.
        raw: its bytes, without the tags around it.
        at_end: whether the file ends before ``</DOC>``.
    """

    offset: int
    raw: bytes
    at_end: bool = False


class TooLongError(Exception):
    """A document is longer than ``LONGEST_DOCUMENT``; holds where it begins."""


def pieces(stream: IO[bytes]) -> Iterator[Piece]:
    """The documents of a file; what stands between them is passed over.

    Raises:
        TooLongError: no ``</DOC>`` nor ``<DOC>`` comes for more than ``LONGEST_DOCUMENT`` bytes.
    """
    buffer, base, begin, done = b"", 0, -1, 0
    read = getattr(stream, "read1", stream.read)  # of a damaged file, what stands before the damage
    while True:
        block: bytes = read(BLOCK)
        buffer += block
        # A tag that may go on in the next block waits for it.
        safe = len(buffer) if not block else max(done, len(buffer) - LONGEST_TAG - len(b"</DOC>"))
        for edge in EDGE.finditer(buffer, done):
            if edge.start() >= safe:
                break
            if begin >= 0:
                yield Piece(base + begin, buffer[begin : edge.start()])
            begin = -1 if edge[1] else edge.end()
            done = edge.end()
        if not block:
            break
        done = max(done, safe)
        if begin >= 0 and len(buffer) - begin > LONGEST_DOCUMENT:
            raise TooLongError(base + begin)
        cut = begin if begin >= 0 else done
        buffer, base, begin, done = buffer[cut:], base + cut, min(begin, 0), done - cut
    if begin >= 0:
        yield Piece(base + begin, buffer[begin:], at_end=True)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner found in a document.

    Attributes:
        id: empty where there is none.
        text: the fields' texts in the layout's order.
        is_open: whether an element that holds a field has not ended.
    """

    id: str
    text: str
    is_open: bool


class Scanner:
    """Reads the fields of a document, and nothing else.

    A field that has no end tag of its own ends where the next field begins; one that has it may hold tags of others, as text.
    Within a path such as ``text/p`` only the paragraphs count, and all of the element where it has none.

    Args:
        fields: tags or paths of tags, in the order of the text; with ``*`` at the end all of that tag count, else the first.
        id: tag of the id; where it is missing, the other of ``docid`` and ``docno``.
    """

    def __init__(self, fields: Sequence[str], id: str) -> None:
        self.fields = [(field.removesuffix("*"), field.endswith("*")) for field in fields]
        self.ids = sorted(("docid", "docno"), key=lambda tag: tag != id)
        self._leaves = [*(path for path, _ in self.fields), *self.ids]
        self._children: dict[str, dict[str, str]] = {"": {}}
        for leaf in self._leaves:
            path = ""
            for name in leaf.split("/"):
                below = f"{path}/{name}" if path else name
                self._children[path][name] = below
                self._children.setdefault(below, {})
                path = below
        names = sorted({name for leaf in self._leaves for name in leaf.split("/")})
        self._tag = _tag(names)
        self._named = {name: _tag([name]) for name in names}

    def scan(self, text: str) -> Scanned:
        """The id and the text of a document, given without the tags around it."""
        if "<!" in text:
            text = _without_declarations(text)
        spans, is_open = self._spans(text)
        parts: list[str] = []
        for path, every in self.fields:
            found = spans[path]
            parts += [text[begin:end] for begin, end in (found if every else found[:1])]
        # An id without end tag is followed by whatever tag comes next.
        ids = (plain(text[slice(*spans[tag][0])].partition("<")[0]) for tag in self.ids if spans[tag])
        return Scanned(next(filter(None, ids), ""), plain(" ".join(parts)), is_open)

    def _spans(self, text: str) -> tuple[dict[str, list[tuple[int, int]]], bool]:
        """Where the text of every field begins and ends, and whether one has not ended."""
        found: dict[str, list[tuple[int, int]]] = {leaf: [] for leaf in self._leaves}
        stack = [_Open("", "", 0)]
        for tag in self._tag.finditer(text):
            name = tag[2].lower()
            if tag[1]:
                if stack[-1].name == name or any(element.name == name for element in stack):
                    while stack[-1].name != name:
                        _close(stack.pop(), tag.start(), found)
                    _close(stack.pop(), tag.start(), found)
                continue
            while name not in self._children[stack[-1].path] and len(stack) > 1 and not self._ends(stack[-1], text, tag.start()):
                _close(stack.pop(), tag.start(), found)
            path = self._children[stack[-1].path].get(name)
            if path is not None:
                stack.append(_Open(path, name, tag.end()))
        for element in stack[:0:-1]:
            _close(element, len(text), found)
        return found, len(stack) > 1

    def _ends(self, element: "_Open", text: str, position: int) -> bool:
        """Whether an open element has an end tag before another of its name begins; looked for once."""
        if element.ends is None:
            following = self._named[element.name].search(text, position)
            element.ends = following is not None and bool(following[1])
        return element.ends


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    path: str
    name: str
    begin: int
    ends: bool | None = None


def _close(element: _Open, end: int, found: dict[str, list[tuple[int, int]]]) -> None:
    """Note where the text of an element that has ended is; if it should hold paragraphs and has none, all of it is one."""
    leaf = element.path
    if leaf not in found:
        leaf = f"{leaf}/p"
        if leaf not in found or (found[leaf] and found[leaf][-1][0] >= element.begin):
            return
    found[leaf].append((element.begin, end))


def _tag(names: Sequence[str]) -> re.Pattern[str]:
    """A start or end tag of one of these names; letters in both cases, which is quicker than to ignore the case."""
    either = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in names)
    return re.compile(rf"<(/?)({'|'.join(either)})(?=[\s>/])[^<>]{{0,{LONGEST_TAG}}}>")


def plain(text: str) -> str:
    """Text without tags, entities and line breaks, with single blanks."""
    if "<" in text:
        text = TAG.sub(" ", text)
    if "&" in text:
        text = ENTITY.sub(_character, text)
    if not text.isprintable():
        text = clean(text.replace("\xa0", " "))
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip()


def _character(entity: re.Match[str]) -> str:
    """What an entity stands for; an unknown one stays."""
    return html.unescape(entity[0])


def _without_declarations(text: str) -> str:
    """Text without comments, and with what CDATA sections hold."""
    kept: list[str] = []
    position, endless = 0, set[str]()
    while (begin := text.find("<!", position)) >= 0:
        opening, closing = ("<!--", "-->") if text.startswith("<!--", begin) else ("<![CDATA[", "]]>")
        begins = text.startswith(opening, begin)
        end = text.find(closing, begin) if begins and closing not in endless else -1
        if end < 0:
            if begins:
                endless.add(closing)  # to look for it again at every opening would take long
            kept.append(text[position : begin + 2])
            position = begin + 2
            continue
        kept += [text[position:begin], " " if opening == "<!--" else text[begin + len(opening) : end]]
        position = end + len(closing)
    return "".join([*kept, text[position:]])
