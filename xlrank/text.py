"""Text as it comes from the world, made safe for tokenizers, files and Java, without losing letters."""

import re

SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]|[\t\n\r]")
BIDI_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Drop lone surrogates and marks of writing direction, turn control characters and line breaks into spaces, and trim.

    Joiners (U+200C, U+200D) stay: they are spelling in Persian and Uyghur.
    """
    text = SURROGATES.sub("", text)
    return " ".join(BIDI_MARKS.sub("", CONTROLS.sub(" ", text)).split(" ")).strip()
