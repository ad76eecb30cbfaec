"""Text as it comes from the world, made comparable and safe for tokenizers, files and Java, without losing letters.

:func:`clean` is the one normalisation of all texts that are compared: documents, topics, translations, training text, queries.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

SURROGATES = re.compile("[\ud800-\udfff]")
SPACES = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]")
"""Control characters, line breaks, and the zero-width space, which stands where words part."""
INVISIBLE = re.compile("[\u00ad\u034f\u061c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]")
"""Soft hyphens, marks of writing direction, and what keeps characters together: within a word they would part it."""
JOINERS = re.compile("[\u200c\u200d]+")
PRESENTATION_FORMS = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")
"""Letters as they are drawn: Latin and Armenian ligatures, Hebrew and Arabic letters in their place in the word."""
DOTTED_I = re.compile("i\u0307+")
"""What a dotted capital I becomes in lower case outside Turkic languages; it looks like an i, and no letter composes it."""

SPELLINGS: Mapping[str, Sequence[tuple[re.Pattern[str], str]]] = {
    # Heh and Persian yeh look like other Uyghur letters where the next letter is not joined to them than where it is.
    "ug": (
        (re.compile("\u0647(?:\u200c|(?![\\w\u200d]))"), "\u06d5"),
        (re.compile("\u0647"), "\u06be"),
        (re.compile("\u06cc(?![\\w\u200d])"), "\u0649"),
        (re.compile("\u06cc"), "\u064a"),
        (re.compile("\u06a9"), "\u0643"),
        (JOINERS, ""),
    ),
    "fa": ((re.compile("[\u064a\u0649]"), "\u06cc"), (re.compile("\u0643"), "\u06a9")),
    "ky": tuple((re.compile(theirs), ours) for theirs, ours in zip("ѳѲɵƟӊӉ", "өӨөӨңҢ", strict=True)),
}
"""By language, letters of other alphabets that are typed for letters of its own, as which they look the same."""

SENTENCE_END = re.compile(
    r"""
    (?: (?<!\b[^\W\d_])                             # not after a single letter: the U.S. army, J. Smith
        (?<!\b[A-ZÄÖÜÇŞĞİА-ЯЁҢӨҮ][^\W\d_])           # nor after two of which the first is a capital: Mr., Dr., No.
        (?<!\b(?:Mrs|Sen|Rep|Gov|Gen|Rev|Col|Sgt))\.+
      | \.+ (?=["”’»)\]])
      | [!?…]+\.* ) ["'”’»)\]]* \s+
    | [؟۔።।。！？｡]+ ["'”’»)\]」』）》]* \s*                       # no space needs to follow
    """,
    re.VERBOSE,
)

UNSPACED = re.compile(
    "[\u0e00-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Khmer, Burmese, Chinese and Japanese."""
NAMED = 3
"""Names that a message gives, of however many it is about."""
LETTERS_A_WORD = 1.5
SPACED_WORD = re.compile(r"\S*\w\S*")


def clean(text: str) -> str:
    """The text in Unicode's composed form (NFC), without what cannot be seen, trimmed; equal texts become equal strings.

    Control characters, line breaks and zero-width spaces become spaces; soft hyphens, marks of direction and lone surrogates
    vanish. Presentation forms become the letters that they show. Joiners (U+200C, U+200D) stay inside words, where they are
    spelling in Persian and in India's scripts. What compatibility (NFKC) would change besides stays: ``½``, ``²``, ``™``.
    """
    text = INVISIBLE.sub("", SPACES.sub(" ", SURROGATES.sub("", text)))
    text = DOTTED_I.sub("i", PRESENTATION_FORMS.sub(_letters, text))
    return JOINERS.sub(_joining, unicodedata.normalize("NFC", text)).strip()


def spelled(text: str, language: str) -> str:
    """A clean text in the letters of its language, where others are typed that look the same; of most languages as it is.

    Only letters that the language does not have are replaced: heh, Persian yeh and kaf and joiners in Uyghur; Arabic yeh and kaf
    in Persian; barred o, fita and en with a hook in Kyrgyz. The embedded encoder ranks worse with each of them. What is in use
    in two ways (ё and е) stays.

    Args:
        text: clean.
        language: ISO 639 code.
    """
    for pattern, letter in SPELLINGS.get(language, ()):
        text = pattern.sub(letter, text)
    return text


def _letters(form: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", form[0])


def _joining(joiners: re.Match[str]) -> str:
    """Joiners between two characters; nothing at the end of a word, where there is nothing to join."""
    text, start, end = joiners.string, joiners.start(), joiners.end()
    inside = start > 0 and end < len(text) and not (text[start - 1].isspace() or text[end].isspace())
    return joiners[0] if inside else ""


def few(names: Sequence[str], one: str, several: str, count: int | None = None) -> str:
    """A sentence on the first of some names, each once, and the number of others.

    Args:
        names: what it is about.
        one: what is said of one of them.
        several: what is said of several.
        count: how many there are, if ``names`` are not all of them.
    """
    distinct = list(dict.fromkeys(names))
    count = len(distinct) if count is None else count
    shown = distinct[:NAMED]
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    return f"{', '.join(shown)}{more} {one if count == 1 else several}"


def sentences(text: str) -> list[str]:
    """The sentences of a text in any script, cleaned, none of them empty; what looks like an abbreviation does not end one.

    The marks are those of the Latin, Cyrillic, Arabic, Ethiopic, Devanagari, Chinese and Japanese scripts. Where a small letter
    follows, a sentence goes on.
    """
    text, start, found = clean(text), 0, list[str]()
    for end in SENTENCE_END.finditer(text):
        if not text[end.end() : end.end() + 1].islower():
            found.append(text[start : end.end()].strip())
            start = end.end()
    return [sentence for sentence in (*found, text[start:].strip()) if sentence]


def word_count(text: str) -> float:
    """Roughly how many words a text has; of scripts without spaces, one for every one and a half letters."""
    letters = len(UNSPACED.findall(text))
    return letters / LETTERS_A_WORD + len(SPACED_WORD.findall(UNSPACED.sub(" ", text) if letters else text))


def shortened(text: str, most: int) -> str:
    """The first words, up to ``most`` characters; a cut is marked, and made between words where there are any."""
    if len(text) <= most:
        return text
    cut = text[:most]
    words = cut.rpartition(" ")[0]
    return (words if len(words) > most // 2 else cut).rstrip() + "…"
