"""Translations that went wrong in ways that can be seen without knowing the language, and what to do about them.

Neural models repeat themselves, copy what they do not know, stop early or never. In the paper, leaving out the Somali queries
that held more than two repetitions raised monoBERT's MAP from .157 to .280 (Litschko et al. 2022, talk, slide 20).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.retrieval.analysis import words

Policy = Literal["report", "drop"]
POLICIES: tuple[Policy, ...] = ("report", "drop")
FIELDS = ("title", "description")

# The limits leave human translations alone. Of 43,032 pairs of fields of NTREX-128 and mini, in 12 languages, 2 in 10,000 differ
# more in length; of the topics of NTREX-128, in 13 directions between alphabets, none shares as many words.
RATIO = 2.5
"""A translation is this much longer, or shorter, than its source; Han characters count as ``HAN_LENGTH``."""
DIFFERENCE = 30
"""…and by more than this many characters: short texts vary."""
HAN_LENGTH = 3
COPIED_SAME_SCRIPT, COPIED_OTHER_SCRIPT = 0.75, 0.35
"""Share of the source's words that stand in the translation; names stay, so there are always some in the same script."""
FEWEST_WORDS = 3
"""Words that a source has at least for its copies to count."""
REPETITIONS = 3
PHRASE = 3
"""Words of a phrase that is not to stand ``REPETITIONS`` times anywhere; shorter ones (of the) may."""

HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
IN_A_ROW = re.compile(r"(?<!\S)(\S+(?: \S+){0,3})(?: \1){2}(?!\S)")
IN_A_ROW_HAN = re.compile(r"(.{2,8}?)\1{2}|(.)\2{4}")


def degenerate(topic: Topic, translated: Topic) -> list[str]:
    """Why a translation looks wrong, each reason with its field; empty where nothing does.

    - ``repeated``: a phrase of up to four words stands three times in a row, or one of three words three times anywhere, and
      not so in the source.
    - ``copied``: most of the source's words stand in the translation as they are.
    - ``empty``: the source has text and the translation none.
    - ``too long``, ``too short``: by more than 2.5 times, and 30 characters.
    """
    return [f"{field}: {reason}" for field in FIELDS for reason in _reasons(getattr(topic, field), getattr(translated, field))]


@dataclass(frozen=True)
class Checked:
    """Translations that have been looked at.

    Attributes:
        topics: as they are to be searched with.
        reasons: topic id to what is wrong with its translation; only topics where something is.
        dropped: topic ids with what was searched instead: the other field, or the untranslated topic.
    """

    topics: list[Topic]
    reasons: Mapping[str, Sequence[str]]
    dropped: Mapping[str, str]

    @property
    def summary(self) -> str:
        """One line for the command line; empty where nothing is wrong."""
        if not self.reasons:
            return ""
        kinds = Counter(reason.partition(": ")[2].partition(" (")[0] for found in self.reasons.values() for reason in set(found))
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        ids = ", ".join(sorted(self.reasons)[:10]) + (", …" if len(self.reasons) > 10 else "")
        what = f"; {len(self.dropped)} searched without it" if self.dropped else ""
        return f"{len(self.reasons)} of {len(self.topics)} translations look wrong ({counts}): topics {ids}{what}"


def check_translations(topics: Sequence[Topic], translated: Sequence[Topic], policy: Policy = "report") -> Checked:
    """Look at all translations, and leave out the wrong ones if ``policy`` says so.

    Args:
        topics: as they were.
        translated: the same topics, translated, in the same order.
        policy: ``report`` leaves them as they are; ``drop`` empties a field that went wrong, and takes the untranslated topic
            where nothing is left.

    Raises:
        XlrankError: an unknown policy, or other topics.
    """
    if policy not in POLICIES:
        raise XlrankError(f"translations: unknown policy {policy!r} for wrong ones; expected {' or '.join(POLICIES)}")
    if [topic.id for topic in topics] != [topic.id for topic in translated]:
        raise XlrankError("translations: not of the same topics in the same order")
    reasons = {topic.id: found for topic, other in zip(topics, translated, strict=True) if (found := degenerate(topic, other))}
    if policy == "report":
        return Checked(list(translated), reasons, {})
    kept, dropped = [], {}
    for topic, other in zip(topics, translated, strict=True):
        wrong = {reason.partition(":")[0] for reason in reasons.get(topic.id, ())}
        left = {field: "" if field in wrong else getattr(other, field) for field in FIELDS}
        kept.append(Topic(topic.id, **left) if any(left.values()) else topic)
        if wrong:
            dropped[topic.id] = "+".join(field for field in FIELDS if left[field]) or "untranslated"
    return Checked(kept, reasons, dropped)


def _reasons(source: str, target: str) -> Iterator[str]:
    if not words(source):
        return
    if not words(target):
        yield "empty"
        return
    phrase = _repeated(target)
    if phrase and not _repeated(source):
        yield f"repeated ({phrase})"
    share, limit = _copied(source, target)
    if share >= limit:
        yield f"copied ({share:.0%} of the source's words)"
    ratio = _length(target) / _length(source)
    if abs(_length(target) - _length(source)) > DIFFERENCE:
        if ratio > RATIO:
            yield f"too long ({ratio:.1f} times the source)"
        elif ratio < 1 / RATIO:
            yield f"too short ({ratio:.2f} times the source)"


def _repeated(text: str) -> str:
    """The phrase that is repeated; empty where none is."""
    tokens = words(text)
    joined = " ".join(tokens)
    if HAN.search(joined):
        found = IN_A_ROW_HAN.search("".join(tokens))
        return next(filter(None, found.groups())) if found else ""
    in_a_row = IN_A_ROW.search(joined)
    if in_a_row:
        return in_a_row[1]
    phrases = Counter(tuple(tokens[i : i + PHRASE]) for i in range(len(tokens) - PHRASE + 1))
    phrase, count = phrases.most_common(1)[0] if phrases else ((), 0)
    return " ".join(phrase) if count >= REPETITIONS else ""


def _copied(source: str, target: str) -> tuple[float, float]:
    """The share of the source's words that stand in the translation, and the share from which on that is wrong."""
    own, theirs = _units(source), set(_units(target))
    if len(own) < FEWEST_WORDS:
        return 0.0, 1.0
    same = _script(" ".join(own)) == _script(" ".join(unit for unit in theirs if unit not in own) or " ".join(own))
    return sum(unit in theirs for unit in own) / len(own), COPIED_SAME_SCRIPT if same else COPIED_OTHER_SCRIPT


def _units(text: str) -> list[str]:
    """Words of three letters and more, without figures, and pairs of neighbouring Han characters."""
    units = []
    for word in words(text):
        if HAN.search(word):
            units += [word[i : i + 2] for i in range(len(word) - 1)]
        elif len(word) > 2 and word.isalpha():
            units.append(word)
    return units


def _script(text: str) -> str:
    """The script of most letters: the first word of their Unicode names, of those that are told apart here."""
    counts = Counter(
        "Han" if HAN.match(c) else "Latin" if c < "\u0250" else "Cyrillic" if "\u0400" <= c < "\u0530" else "other"
        for c in text
        if c.isalpha()
    )
    return counts.most_common(1)[0][0] if counts else "other"


def _length(text: str) -> int:
    return len(text) + (HAN_LENGTH - 1) * len(HAN.findall(text))
