"""What the files of CLEF 2000-2003 look like: newspapers, their tags and years, topics, published figures.

Folders, tags and the order of the fields are those of the loader published with "Parameter-Efficient Neural Reranking for
Cross-Lingual and Multilingual Retrieval" (COLING 2022; rlitschk/clef-dataloaders and its predecessor in rlitschk/EncoderCLIR).
Its table of years differs from the campaigns: it also reads Glasgow Herald for 2001 and 2002 and SDA 95 for 2002, of which no
document was judged then.

Years. Confirmed in print: English (Table 1 of Fautsch and Savoy, JASIST 60(8), 2009), newspapers without any news agency in
2000 (agenda of CLEF 2000), Russian since 2003 (agenda of CLEF 2003). From memory, unconfirmed: SDA 94 since 2001, SDA 95 and AGZ
95 since 2003, Dutch since 2001, Finnish since 2002. French, Spanish and Swedish newspapers are not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LATIN, UTF8 = "iso-8859-1", "utf-8"


@dataclass(frozen=True)
class Layout:
    """One newspaper or agency.

    Attributes:
        language: of its documents.
        name: as printed.
        folders: under the language's folder; the first is where the published loader looks, the others are names in the
            package as it is delivered, so far as public code shows them.
        years: of the campaigns that it belongs to.
        fields: in the order in which their texts make a document: a tag, or a path of tags below the document; with ``*`` all
            of them, else only the first.
        id: tag of the id that the judgements use.
        encoding: of the files.
    """

    language: str
    name: str
    folders: tuple[str, ...]
    years: Sequence[int]
    fields: tuple[str, ...]
    id: str = "docid"
    encoding: str = LATIN


ALL, SINCE_2001, SINCE_2002, ONLY_2003 = range(2000, 2004), range(2001, 2004), range(2002, 2004), range(2003, 2004)
GERMAN_SDA = ("tx*", "ld", "ti", "kw")
ITALIAN_SDA = ("ti*", "ld*", "tx*")
DUTCH = ("body/le/p*", "body/te/p*", "body/ti/p*", "body/os/p*")

LAYOUTS = (
    Layout("en", "Glasgow Herald 95", ("GH95", "GlasgowHerald95"), ONLY_2003, ("headline", "text*")),
    # The numbers in DOCID are not those of the judgements: DOCNO is, with blanks around it.
    Layout("en", "Los Angeles Times 94", ("latimes", "LATimes94"), ALL, ("headline/p*", "text/p*"), id="docno"),
    Layout("de", "Der Spiegel 94/95", ("der_spiegel",), ALL, ("title*", "lead", "text*")),
    Layout("de", "Frankfurter Rundschau 94", ("fr_rundschau",), ALL, ("title*", "text")),
    Layout("de", "SDA German 94", ("sda94", "sda_german"), SINCE_2001, GERMAN_SDA),
    Layout("de", "SDA German 95", ("sda95",), ONLY_2003, GERMAN_SDA),
    Layout("it", "La Stampa 94", ("la_stampa",), ALL, ("text*", "title*")),
    Layout("it", "SDA Italian 94", ("sda_italian",), SINCE_2001, ITALIAN_SDA),
    Layout("it", "AGZ Italian 95", ("agz95",), ONLY_2003, ITALIAN_SDA),
    Layout("fi", "Aamulehti 94/95", ("aamu",), SINCE_2002, ("text*",)),
    Layout("ru", "Izvestia 95", ("xml",), ONLY_2003, ("text", "title", "subject"), encoding=UTF8),
    Layout("nl", "Algemeen Dagblad 94/95", ("algemeen_dagblad",), SINCE_2001, DUTCH),
    Layout("nl", "NRC Handelsblad 94/95", ("nrc_handelsblad",), SINCE_2001, DUTCH),
)
"""All newspapers, in the order in which their documents are read."""

TOPIC_IDS = {2000: range(1, 41), 2001: range(41, 91), 2002: range(91, 141), 2003: range(141, 201)}
"""Numbers of the topics of each campaign; the same topics in all languages."""

TOPIC_FILES = {
    "en": ("en", "e"),
    "de": ("de", "d"),
    "fr": ("fr", "f"),
    "it": ("it", "i"),
    "es": ("es", "sp"),
    "nl": ("nl", "du", "n"),
    "fi": ("fi",),
    "ru": ("ru",),
    "sv": ("sv", "sw"),
}
"""What stands for a language in the names of topic files: since 2001 its code, in 2000 a letter or two (``sw`` is Swedish).

How Dutch was called in 2000 is not known; the published loader has none."""

LOW_RESOURCE = {"sw": "SWAHILI", "so": "SOMALI", "ky": "KYRGYZ", "tr": "TURKISH", "ug": "UYGHUR"}
"""Languages into which the English topics of all years were translated later, as named at the end of the files' names."""

PUBLISHED_COUNTS = {
    **{(year, "en"): 113_005 for year in (2000, 2001, 2002)},
    (2003, "en"): 169_477,
    **{(year, "de"): 225_371 for year in (2001, 2002)},
    (2003, "it"): 157_558,
    **{(year, "fi"): 55_344 for year in (2002, 2003)},
    **{(year, "nl"): 190_604 for year in (2001, 2002, 2003)},
    (2003, "ru"): 16_716,
}
"""Documents by year and language where a publication names the same newspapers: English in Fautsch and Savoy (2009), the others
in the table of test collections of the Open-Source IR Reproducibility Challenge (lintool/IR-Reproducibility, 2015)."""


def layouts(year: int, language: str | None = None) -> list[Layout]:
    """The newspapers of a campaign, in one language or in all."""
    return [each for each in LAYOUTS if year in each.years and language in (None, each.language)]
