"""Composition expressions as text: ``split(ky,en)+rank``.

Grammar: ``stack = stage ('+' stage)*``; ``stage = 'split(' name ',' name ')' | name``; ``name = module['~'stand-in]``. A name is
a language code, the id of a shipped module, a folder, or one of the words ``query`` and ``document``, which mean the
language of that side; ``rank`` is short for ``ranking/en`` and ``monobert`` for ``ranking/monobert``.
"""

import re

from xlrank.composition.expression import Composition, Leaf, Split, Stack
from xlrank.errors import XlrankError

NAME = re.compile(r"[\w./\-@:]+(~[\w./\-@:]+)?")
TOKEN = re.compile(rf"\s*({NAME.pattern}|[(),+])")
EXAMPLE = "for example split(ky,en)+rank, query+rank or monobert"


def parse(text: str) -> Composition:
    """Parse an expression; ``str()`` of the result gives it back without spaces.

    Raises:
        XlrankError: not an expression; the message points at the place.
    """
    return _Parser(text).stack()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            if match is None:
                raise self.failure(f"unexpected {text[at:].lstrip()[:1]!r}", len(text) - len(text[at:].lstrip()))
            self.tokens.append((match.group(1), match.start(1)))
            at = match.end()
        self.tokens.append(("", len(text)))

    def failure(self, problem: str, at: int) -> XlrankError:
        return XlrankError(f"composition {self.text!r}: {problem} at character {at + 1}; expected {EXAMPLE}")

    def stack(self) -> Composition:
        stages = [self.stage()]
        while self.tokens[0][0] == "+":
            self.tokens.pop(0)
            stages.append(self.stage())
        if self.tokens[0][0]:
            raise self.failure(f"unexpected {self.tokens[0][0]!r}", self.tokens[0][1])
        return Stack(tuple(stages))

    def stage(self) -> Composition:
        at = self.tokens[0][1]
        name = self.name()
        if self.tokens[0][0] != "(":
            return leaf(name)
        if name != "split":
            raise self.failure(f"unknown operator {name!r} (known: split)", at)
        self.expect("(")
        query = leaf(self.name())
        self.expect(",")
        document = leaf(self.name())
        self.expect(")")
        return Split(query, document)

    def name(self) -> str:
        token, at = self.tokens[0]
        if not NAME.fullmatch(token):
            raise self.failure(f"expected a module's name, got {token!r}" if token else "a module's name is missing", at)
        return self.tokens.pop(0)[0]

    def expect(self, symbol: str) -> None:
        token, at = self.tokens[0]
        if token != symbol:
            raise self.failure(f"expected {symbol!r}, got {token!r}" if token else f"{symbol!r} is missing", at)
        self.tokens.pop(0)


def leaf(name: str) -> Leaf:
    """A leaf from ``name`` or ``name~stand-in``."""
    name, _, stand_in = name.partition("~")
    return Leaf(name, stand_in=stand_in or None)
