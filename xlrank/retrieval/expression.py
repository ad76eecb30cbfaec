"""How first stages are written: ``dense``, ``bm25(psq, k1=1.2)``, ``rrf(dense, bm25(psq))``, ``run("old runs/{query}.trec")``.

A call has a name and, in parentheses, arguments (calls or words) and options (``name=value``). Whatever holds spaces, commas,
parentheses or equals signs stands in double quotes. The argument of ``dense`` and ``late`` is a composition
(:mod:`xlrank.composition.parser`), written as it is: ``late(split(query,document)+rank)``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from xlrank.composition import parse
from xlrank.errors import XlrankError

COMPOSED = ("dense", "late")
"""Methods whose argument is a composition."""

OPTION = re.compile(r"\s*\w+\s*=")
TOKEN = re.compile(r'\s*(?:(?P<mark>[(),=])|"(?P<quoted>[^"]*)"|(?P<word>[^\s(),="]+))')


@dataclass(frozen=True)
class Call:
    """A name with arguments and options; a word is a call without any.

    Attributes:
        name: of the method, or the word itself.
        arguments: in their order.
        options: by name.
        composition: whether the name is a composition, which needs no quotes where one is expected.
    """

    name: str
    arguments: tuple["Call", ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    composition: bool = False

    def __str__(self) -> str:
        if self.composition:
            return self.name
        inner = [*map(str, self.arguments), *(f"{name}={_quoted(value)}" for name, value in self.options.items())]
        return _quoted(self.name) + (f"({', '.join(inner)})" if inner else "")


def parse_call(text: str) -> Call:
    """A call from its text.

    Raises:
        XlrankError: it is malformed; the place is named.
    """
    reader = _Reader(text)
    call = reader.call()
    reader.end()
    return call


class _Reader:
    """Recursive descent over a text; every method leaves the place behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def call(self) -> Call:
        name = self._word("a name")
        if not self._skip("("):
            return Call(name)
        arguments: list[Call] = []
        options: dict[str, str] = {}
        while not self._skip(")"):
            if arguments or options:
                self._expect(",")
            argument = self._composition() if name in COMPOSED and not OPTION.match(self.text, self.at) else self.call()
            if not argument.arguments and not argument.options and self._skip("="):
                if argument.name in options:
                    raise self._wrong(f"option {argument.name!r} only once")
                options[argument.name] = self._word("a value")
            else:
                arguments.append(argument)
        return Call(name, tuple(arguments), options)

    def _composition(self) -> Call:
        """A composition up to the comma or the parenthesis that ends the argument."""
        quoted = self._peek()
        if quoted is not None and quoted["quoted"] is not None:
            self.at = quoted.end()
            return Call(str(parse(quoted["quoted"])), composition=True)
        start, depth = self.at, 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if depth == 0 and character in ",)":
                break
            depth += {"(": 1, ")": -1}.get(character, 0)
            self.at += 1
        return Call(str(parse(self.text[start : self.at])), composition=True)

    def end(self) -> None:
        if self.text[self.at :].strip():
            raise self._wrong("the end")

    def _peek(self) -> re.Match[str] | None:
        return TOKEN.match(self.text, self.at)

    def _word(self, wanted: str) -> str:
        found = self._peek()
        if found is None or found["mark"]:
            raise self._wrong(wanted)
        self.at = found.end()
        return found["quoted"] if found["quoted"] is not None else found["word"]

    def _skip(self, mark: str) -> bool:
        found = self._peek()
        if found is None or found["mark"] != mark:
            return False
        self.at = found.end()
        return True

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise self._wrong(f"{mark!r} or ')'")

    def _wrong(self, wanted: str) -> XlrankError:
        return XlrankError(f"first stage {self.text!r}: expected {wanted} at character {self.at + 1}")


def _quoted(text: str) -> str:
    return f'"{text}"' if not text or re.search(r"[\s(),=]", text) else text
