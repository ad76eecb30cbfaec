"""Regular expressions from files of others, matched in bounded time: whole names only, no backtracking.

Python's ``re`` can be made to run for years by a short pattern. Here the set of places where a match can end is followed
instead, once for each part of the pattern and each place in the name, so a pattern costs at most its length times a power of the
name's. Look-around, back-references, flags and possessive repeats are refused.
"""

import re
from collections.abc import Callable
from functools import cache

MAX_LENGTH = 1000
MAX_DEPTH = 30
MAX_REPEATS = 1000

Ends = Callable[[int], frozenset[int]]
_SET = re.compile(r"\[\^?\]?(?:[^\\\]]|\\.)*\]")
_ESCAPE = re.compile(r"\\(?:[dDwWsS]|[^A-Za-z0-9])")
_REPEAT = re.compile(r"(?:[*+?]|\{(\d{1,4})?(,)?(\d{1,4})?\})\??(?![*+?])")


def full_match(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` matches ``pattern``, as ``re.fullmatch`` has it.

    Raises:
        ValueError: the pattern is not one, or uses what is not supported here.
    """
    if len(pattern) > MAX_LENGTH or len(text) > MAX_LENGTH:
        raise ValueError("the pattern is too long")
    parser = _Parser(pattern, text)
    ends = parser.alternatives(0)
    if parser.at < len(pattern):
        raise ValueError("unbalanced parenthesis")
    return len(text) in ends(0)


class _Parser:
    """Recursive descent over a pattern; every method returns the places where a match that starts at a place can end."""

    def __init__(self, pattern: str, text: str) -> None:
        self.pattern, self.text, self.at = pattern, text, 0

    def alternatives(self, depth: int) -> Ends:
        """``a|b|c``."""
        if depth > MAX_DEPTH:
            raise ValueError("the pattern is nested too deeply")
        branches = [self.sequence(depth)]
        while self.pattern[self.at : self.at + 1] == "|":
            self.at += 1
            branches.append(self.sequence(depth))
        return cache(lambda start: frozenset().union(*(branch(start) for branch in branches)))

    def sequence(self, depth: int) -> Ends:
        """``abc``."""
        parts: list[Ends] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self.repeated(depth))

        @cache
        def ends(start: int) -> frozenset[int]:
            places = frozenset({start})
            for part in parts:
                places = _after(part, places)
            return places

        return ends

    def repeated(self, depth: int) -> Ends:
        """An atom and the ``*``, ``+``, ``?`` or ``{m,n}`` behind it."""
        atom = self.atom(depth)
        found = _REPEAT.match(self.pattern, self.at)
        if found is None:
            if self.pattern[self.at : self.at + 1] in ("*", "+", "?", "{"):
                raise ValueError("unsupported repeat")
            return atom
        self.at = found.end()
        least, most = _bounds(found)

        @cache
        def ends(start: int) -> frozenset[int]:
            places = frozenset({start})
            for _ in range(least):
                places = _after(atom, places)
            reached, new = set(places), places
            for _ in range(len(self.text) + 1 if most is None else most - least):
                new = _after(atom, new) - reached
                reached |= new
                if not new:
                    break
            return frozenset(reached)

        return ends

    def atom(self, depth: int) -> Ends:
        """A group, or what matches one character or one place."""
        if self.pattern[self.at] == "(":
            self.at += 3 if self.pattern.startswith("(?:", self.at) else 1
            group = self.alternatives(depth + 1)
            if self.pattern[self.at : self.at + 1] != ")":
                raise ValueError("unbalanced parenthesis")
            self.at += 1
            return group
        char = self.pattern[self.at]
        if char in "^$":
            self.at += 1
            place = 0 if char == "^" else len(self.text)
            return lambda start: frozenset({start}) if start == place else frozenset()
        return self.character()

    def character(self) -> Ends:
        """A literal, ``.``, an escape or a ``[set]``."""
        char = self.pattern[self.at]
        found = {"[": _SET, "\\": _ESCAPE}.get(char, re.compile(r"[^*+?{]", re.DOTALL)).match(self.pattern, self.at)
        if found is None:
            raise ValueError(f"unsupported {char!r}")
        self.at = found.end()
        try:
            one = re.compile(found.group() if char in "[\\." else re.escape(char))
        except re.error:
            raise ValueError("not a regular expression") from None
        text = self.text
        return lambda start: frozenset({start + 1}) if start < len(text) and one.fullmatch(text[start]) else frozenset()


def _after(part: Ends, places: frozenset[int]) -> frozenset[int]:
    return frozenset().union(*(part(place) for place in places))


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    """Least and most repeats (None: any number) of a matched repeat operator."""
    simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found.group()[0])
    if simple is not None:
        return simple
    least, comma, most = found.groups()
    low = int(least or 0)
    high = int(most) if most else (None if comma else low)
    if (least is None and most is None) or max(low, high or 0) > MAX_REPEATS or (high is not None and high < low):
        raise ValueError("unsupported repeat")
    return low, high
