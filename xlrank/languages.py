"""The languages xlrank knows: names, scripts, Lucene analyzers, and which languages are relatives."""

from dataclasses import dataclass

from xlrank.errors import XlrankError


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        code: ISO 639-1 code.
        name: English name.
        script: ``Latin``, ``Cyrillic``, ``Arabic``, ``Han``: the first word of its letters' Unicode names tells them apart.
        family: from the widest group to the narrowest.
        lucene: whether Lucene (Anserini) has an analyzer for it.
        aliases: other codes and spellings that are accepted; ``kg`` is what the CLEF translations call Kyrgyz.
    """

    code: str
    name: str
    script: str
    family: tuple[str, ...]
    lucene: bool = True
    aliases: tuple[str, ...] = ()


INDO_EUROPEAN, URALIC, TURKIC = "Indo-European", "Uralic", "Turkic"
LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("eng",)),
        Language("de", "German", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("deu", "ger")),
        Language("nl", "Dutch", "Latin", (INDO_EUROPEAN, "Germanic"), aliases=("nld", "dut")),
        Language("it", "Italian", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("ita",)),
        Language("fr", "French", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("fra", "fre")),
        Language("es", "Spanish", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("spa",)),
        Language("pt", "Portuguese", "Latin", (INDO_EUROPEAN, "Romance"), aliases=("por",)),
        Language("ru", "Russian", "Cyrillic", (INDO_EUROPEAN, "Slavic"), aliases=("rus",)),
        Language("uk", "Ukrainian", "Cyrillic", (INDO_EUROPEAN, "Slavic"), aliases=("ukr",)),
        Language("fa", "Persian", "Arabic", (INDO_EUROPEAN, "Iranian"), aliases=("fas", "per", "pes")),
        Language("fi", "Finnish", "Latin", (URALIC, "Finnic"), aliases=("fin",)),
        Language("tr", "Turkish", "Latin", (TURKIC, "Oghuz"), aliases=("tur",)),
        Language("ky", "Kyrgyz", "Cyrillic", (TURKIC, "Kipchak"), lucene=False, aliases=("kir", "kg")),
        Language("kk", "Kazakh", "Cyrillic", (TURKIC, "Kipchak"), lucene=False, aliases=("kaz",)),
        Language("ug", "Uyghur", "Arabic", (TURKIC, "Karluk"), lucene=False, aliases=("uig",)),
        Language("uz", "Uzbek", "Latin", (TURKIC, "Karluk"), lucene=False, aliases=("uzb",)),
        Language("az", "Azerbaijani", "Latin", (TURKIC, "Oghuz"), lucene=False, aliases=("aze",)),
        Language("sw", "Swahili", "Latin", ("Niger-Congo", "Bantu"), lucene=False, aliases=("swa", "swh")),
        Language("so", "Somali", "Latin", ("Afro-Asiatic", "Cushitic"), lucene=False, aliases=("som",)),
        Language("ar", "Arabic", "Arabic", ("Afro-Asiatic", "Semitic"), aliases=("ara",)),
        Language("zh", "Chinese", "Han", ("Sino-Tibetan", "Sinitic"), aliases=("zho", "chi", "cmn")),
    )
}
ALIASES = {alias: language.code for language in LANGUAGES.values() for alias in (*language.aliases, language.name.lower())}


def language_code(text: str) -> str:
    """The ISO 639-1 code for a code, three-letter code, alias or English name.

    Raises:
        XlrankError: the language is unknown.
    """
    code = text.strip().lower()
    code = ALIASES.get(code, code)
    if code not in LANGUAGES:
        raise XlrankError(f"unknown language {text!r}; known: {', '.join(sorted(LANGUAGES))}")
    return code


def kinship(one: str, other: str) -> int:
    """How near two languages are: 4 for the same branch, 2 for the same family, and 1 more for the same script."""
    first, second = LANGUAGES[one], LANGUAGES[other]
    if first.family == second.family:
        near = 4
    elif first.family[0] == second.family[0]:
        near = 2
    else:
        near = 0
    return near + (first.script == second.script)


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
