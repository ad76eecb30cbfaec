"""Text as it comes from the world, made safe for tokenizers, files and Java, without losing letters."""

import re

SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]|[\t\n\r]")
BIDI_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")

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
LETTERS_A_WORD = 1.5
SPACED_WORD = re.compile(r"\S*\w\S*")


def clean(text: str) -> str:
    """Drop lone surrogates and marks of writing direction, turn control characters and line breaks into spaces, and trim.

    Joiners (U+200C, U+200D) stay: they are spelling in Persian and Uyghur.
    """
    text = SURROGATES.sub("", text)
    return " ".join(BIDI_MARKS.sub("", CONTROLS.sub(" ", text)).split(" ")).strip()


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
