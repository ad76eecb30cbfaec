"""Composition expressions as text: ``split(ky,en)+rank``.

Grammar: ``expression = term ('+' term)*``; ``term = function '(' arguments ')' | name ['~' term]``;
a name is a language code, the id of a module, a folder, or one of the words ``query`` and ``document``, which mean the language
of that side; the short names of modules are :data:`xlrank.composition.resolve.SHORT`. ``none`` stands for no module, and
``ug~ky`` says that ``ky`` stands in for ``ug``. The functions are :data:`xlrank.composition.functions.FUNCTIONS`: split, both,
average, subtract, scale(x,0.5), noinv, drop(x,0,1), late().
"""

import re

from xlrank.composition.expression import Composition, Leaf, Plain, Stack, StandIn
from xlrank.composition.functions import FUNCTIONS
from xlrank.errors import XlrankError

NAME = re.compile(r"[\w./\-@:#=]+")
TOKEN = re.compile(rf"\s*({NAME.pattern}|[(),+~])")
EXAMPLE = "for example split(ky,en)+rank, query+rank or monobert"
NONE = Plain().name

MAX_TOKENS = 300
"""Names and symbols of an expression; deeper nesting than so many could hold would exhaust Python's stack."""

SHOWN = 200
"""Characters of an expression that messages repeat."""


def parse(text: str) -> Composition:
    """Parse an expression; ``str()`` of the result gives it back without spaces.

    Raises:
        XlrankError: not an expression; the message points at the place.
    """
    return _Parser(text).whole()


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
        return XlrankError(f"composition {self.text[:SHOWN]!r}: {problem} at character {at + 1}; expected {EXAMPLE}")

    def whole(self) -> Composition:
        deep = next((at for i, (token, at) in enumerate(self.tokens) if token == "(" and i > MAX_TOKENS), None)
        if deep is not None:
            raise self.failure(f"more than {MAX_TOKENS} parts", deep)
        found = self.expression()
        if self.tokens[0][0]:
            raise self.failure(f"unexpected {self.tokens[0][0]!r}", self.tokens[0][1])
        return Stack(found.stages())

    def expression(self) -> Composition:
        stages = [self.term()]
        while self.tokens[0][0] == "+":
            self.tokens.pop(0)
            stages.append(self.term())
        return stages[0] if len(stages) == 1 else Stack(tuple(stages))

    def term(self) -> Composition:
        token, at = self.tokens[0]
        if not NAME.fullmatch(token):
            raise self.failure(f"expected a module's name, got {token!r}" if token else "a module's name is missing", at)
        self.tokens.pop(0)
        if self.tokens[0][0] == "~":
            self.tokens.pop(0)
            part = self.term()
            if any(part.stand_ins()):
                raise self.failure("a stand-in for a stand-in", at)
            return StandIn(token, part)
        if self.tokens[0][0] != "(":
            return Plain() if token == NONE else Leaf(token)
        if token not in FUNCTIONS:
            raise self.failure(f"unknown function {token!r} (known: {', '.join(FUNCTIONS)})", at)
        return self.call(token, at)

    def call(self, function: str, at: int) -> Composition:
        self.expect("(")
        least, most = FUNCTIONS[function].arity()
        arguments = [self.expression()] if most != 0 else []
        while arguments and self.tokens[0][0] == ",":
            self.tokens.pop(0)
            arguments.append(self.expression())
        self.expect(")")
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = str(least) if least == most else f"{least} or more"
            raise self.failure(f"{function} takes {wanted} arguments, got {len(arguments)},", at)
        try:
            return FUNCTIONS[function].of_arguments(arguments)
        except ValueError:
            raise self.failure(f"{function} takes a number after the module,", at) from None

    def expect(self, symbol: str) -> None:
        token, at = self.tokens[0]
        if token != symbol:
            raise self.failure(f"expected {symbol!r}, got {token!r}" if token else f"{symbol!r} is missing", at)
        self.tokens.pop(0)
