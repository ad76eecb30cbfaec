"""A folder that looks like CLEF, with a few made-up documents a newspaper: the layouts and quirks of the real files."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = {
    "en": "bridge river school election water market road forest doctor",
    "de": "Brücke Fluß Schule Wahl Wasser Markt Straße Wald Ärztin",
    "it": "ponte fiume scuola elezione acqua mercato strada foresta città",
    "fi": "silta joki koulu vaali vesi markkinat tie metsä lääkäri",
    "ru": "мост река школа выборы вода рынок дорога лес врач",
    "nl": "brug rivier school verkiezing water markt weg bos reünie",
    "fr": "pont rivière école élection eau marché route forêt médecin",
    "es": "puente río escuela elección agua mercado camino bosque médico",
    "sv": "bro flod skola val vatten marknad väg skog läkare",
    "sw": "daraja mto shule uchaguzi maji soko barabara msitu daktari",
    "so": "buundo webi dugsi doorasho biyo suuq waddo kayn dhakhtar",
    "ky": "көпүрө дарыя мектеп шайлоо суу базар жол токой дарыгер",
    "tr": "köprü nehir okul seçim su pazar yol orman doktor",
    "ug": "كۆۋرۈك دەريا مەكتەپ سايلام سۇ بازار يول ئورمان دوختۇر",
}
"""The same nine words in every language; a pair of them is what a topic or a document is about."""

TOPIC_IDS = {2000: range(1, 41), 2001: range(41, 91), 2002: range(91, 141), 2003: range(141, 201)}
CODES_2000 = {"en": "E", "de": "D", "fr": "F", "fi": "FI", "it": "I", "sv": "SW", "es": "SP"}
LOW_RESOURCE = {
    "sw": "-wo-narrative-Day-2_SWAHILI",
    "so": "-wo-narrative-Day-2_SOMALI",
    "ky": "_KYRGYZ",
    "tr": "_TURKISH",
    "ug": "_UYGHUR",
}
QRELS = {
    "en": "qrels_english",
    "de": "qrels_german",
    "it": "qrels_IT",
    "fi": "qrels_finnish",
    "ru": "qrels_RU",
    "nl": "qrels_dutch",
}


def pair(language: str, topic: int) -> tuple[str, str]:
    """The two words that a topic is about; 72 topics in a row differ."""
    words = WORDS[language].split()
    first, second = divmod(topic % 72, 8)
    return words[first], words[second + (second >= first)]


def glasgow(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<DATE>950102</DATE>\n<HEADLINE>{head}</HEADLINE>\n"
        f"<EDITION>3</EDITION>\n<PAGE>3</PAGE>\n<TEXT>\n{body}\nSmith &amp; Sons, R&D, 3 < 4\n</TEXT>\n</DOC>\n"
    )


def latimes(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO> {id} </DOCNO>\n<DOCID> {id[-4:]} </DOCID>\n<DATE>\n<P>\nJanuary 1, 1994, Saturday\n</P>\n</DATE>\n"
        f"<HEADLINE>\n<P>\n{head}\n</P>\n</HEADLINE>\n<BYLINE>\n<P>\nBy A STAFF WRITER\n</P>\n</BYLINE>\n"
        f"<TEXT>\n<P>\n{body}\n</P>\n<P>\nMore of it.\n</P>\n</TEXT>\n<SUBJECT>\n<P>\nNOT READ\n</P>\n</SUBJECT>\n</DOC>\n\n"
    )


def spiegel(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<TITLE>{head}</TITLE>\n<LEAD>Vorspann</LEAD>\n"
        f"<TEXT>\n{body}\n</TEXT>\n<TEXT>Zweiter Absatz</TEXT>\n</DOC>\n"
    )


def rundschau(id: str, head: str, body: str) -> str:
    return f"<doc>\n<docno>{id}</docno>\n<docid>{id}</docid>\n<title>{head}</title>\n<text>{body}</text>\n</doc>\n"


def sda(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<NO>BSD001</NO>\n<KW>Inland</KW>\n<TI>{head}</TI>\n"
        f"<LD>Bern (sda)</LD>\n<TX>{body}</TX>\n<TX>{head}.</TX>\n</DOC>\n"
    )


def stampa(id: str, head: str, body: str) -> str:
    return f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<TITLE>{head}</TITLE>\n<TEXT>{body} perch&eacute;</TEXT>\n</DOC>\n"


def aamu(id: str, head: str, body: str) -> str:
    return f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<TITLE>Ei lueta</TITLE>\n<TEXT>{head}. {body}</TEXT>\n</DOC>\n"


def izvestia(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<TITLE>{head}</TITLE>\n<TEXT>{body}</TEXT>\n"
        "<SUBJECT>общество</SUBJECT>\n</DOC>\n"
    )


def dutch(id: str, head: str, body: str) -> str:
    return (
        f"<DOC>\n<DOCNO>{id}</DOCNO>\n<DOCID>{id}</DOCID>\n<HEAD><SECTION>Kunst</SECTION></HEAD>\n<BODY>\n"
        f"<TI><P>{head}</P></TI>\n<LE><P>Inleiding</P></LE>\n<TE><P>{body}</P>\n<P>Slot</P></TE>\n<OS><P>Foto</P></OS>\n"
        "</BODY>\n</DOC>\n"
    )


@dataclass(frozen=True)
class Paper:
    """A newspaper: where it lies, what it looks like."""

    language: str
    folder: str
    id: str
    since: int
    template: Callable[[str, str, str], str]
    encoding: str = "iso-8859-1"


PAPERS = (
    Paper("en", "english/GH95", "GH950102-{:06}", 2003, glasgow),
    Paper("en", "english/latimes", "LA010194-{:04}", 2000, latimes),
    Paper("de", "german/der_spiegel", "SPIEGEL94-{:06}", 2000, spiegel),
    Paper("de", "german/fr_rundschau", "FR940103-{:06}", 2000, rundschau),
    Paper("de", "german/sda94", "SDA.940101.{:04}", 2001, sda),
    Paper("de", "german/sda95", "SDA.950101.{:04}", 2003, sda),
    Paper("it", "italian/la_stampa", "LASTAMPA94-{:06}", 2000, stampa),
    Paper("it", "italian/sda_italian", "AGZ.940101.{:04}", 2001, sda),
    Paper("it", "italian/agz95", "AGZ.950101.{:04}", 2003, sda),
    Paper("fi", "finnish/aamu", "AAMU19941115-{:06}", 2002, aamu),
    Paper("ru", "russian/xml", "IZ19950102-{:04}", 2003, izvestia, "utf-8"),
    Paper("nl", "dutch/algemeen_dagblad", "AD19940103-{:04}", 2001, dutch),
    Paper("nl", "dutch/nrc_handelsblad", "NH19940103-{:04}", 2001, dutch),
)


def write_clef_home(folder: Path, years: Sequence[int] = (2003,), per_source: int = 3) -> Path:
    """Write documents, topics in all languages and judgements of some years; returns the folder, for ``CLEF_HOME``.

    A document is about a pair of words, and relevant to the topics that are about the same pair.
    """
    about: dict[str, dict[str, int]] = {}
    for paper in PAPERS:
        of_language = about.setdefault(paper.language, {})
        subjects = {}
        for number in range(per_source):
            at = len(of_language)
            ids = TOPIC_IDS[years[at % len(years)]]
            of_language[paper.id.format(number + 1)] = subjects[paper.id.format(number + 1)] = ids[at // len(years) % len(ids)]
        _write_paper(folder / "DocumentData" / paper.folder, paper, subjects)
    for year in years:
        _write_topics(folder / "Topics", year)
        _write_qrels(folder / "RelAssess" / str(year), year, about)
    _write_low_resource(folder / "clef-low-resource" / "long_paper")
    return folder


def marked(tag: str, language: str, ids: Sequence[int]) -> str:
    """Topics as they were since 2001."""
    return "\n".join(
        f"<top>\n<num> C{topic:03} </num>\n<{tag}-title> {' '.join(pair(language, topic))} </{tag}-title>\n"
        f"<{tag}-desc> {pair(language, topic)[1]}\n{pair(language, topic)[0]} R&amp;D </{tag}-desc>\n"
        f"<{tag}-narr> never read </{tag}-narr>\n</top>\n"
        for topic in ids
    )


def marked_2000(tag: str, language: str, ids: Sequence[int]) -> str:
    """Topics as they were in 2000: no end tags, and every value on the line after its tag."""
    return "\n".join(
        f"<top>\n<num> C{topic:03}\n\n<{tag}-title>\n{' '.join(pair(language, topic))}\n\n<{tag}-desc>\n"
        f"{pair(language, topic)[1]}\n{pair(language, topic)[0]}\n\n<{tag}-narr>\nnever read\n</top>\n"
        for topic in ids
    )


def labelled(language: str, ids: Sequence[int]) -> str:
    """Topics as they were translated later; descriptions go on over lines."""
    return "\n\n".join(
        f"query_id: C{topic:03}\ntitle: {' '.join(pair(language, topic))}\ndescription: {pair(language, topic)[1]}\n"
        f"{pair(language, topic)[0]}"
        for topic in ids
    )


def _write_paper(folder: Path, paper: Paper, subjects: dict[str, int]) -> None:
    """Two files, the second packed and without the end of its last document, beside the DTD."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "doc.dtd").write_text("<!ELEMENT DOC (DOCNO)>\n")
    documents = []
    for id_, topic in subjects.items():
        one, two = pair(paper.language, topic)
        documents.append(paper.template(id_, f"{one} {two}", f"{two} {one}\n{two} 1994"))
    half = (len(documents) + 1) // 2
    opening, closing = ("<?xml version='1.0'?>\n<IZV>\n", "</IZV>\n") if paper.encoding == "utf-8" else ("", "")
    first, second = "".join(documents[:half]), "".join(documents[half:])
    (folder / "a.sgml").write_bytes(f"{opening}{first}{closing}".encode(paper.encoding))
    if second:
        unended = second[: second.rindex("</DOC>" if "</DOC>" in second else "</doc>")]
        (folder / "b.sgml.gz").write_bytes(gzip.compress(f"{opening}{unended}{closing}".encode(paper.encoding)))


def _write_topics(folder: Path, year: int) -> None:
    if year == 2000:
        _write(folder / "topics2000", {f"TOP-{c}.txt": marked_2000(c, lang, TOPIC_IDS[2000]) for lang, c in CODES_2000.items()})
        return
    languages = ("en", "de", "it", "fi", "nl", "fr", "es", "sv", "ru")[: 9 if year == 2003 else 8]
    texts = {f"Top-{lang}{year % 100:02}.txt": marked(lang.upper(), lang, TOPIC_IDS[year]) for lang in languages}
    _write(folder / str(year), texts)


def _write_low_resource(folder: Path) -> None:
    texts = {f"clef-en-2000-2003{name}.txt": labelled(language, range(1, 201)) for language, name in LOW_RESOURCE.items()}
    _write(folder, texts, latin=False)


def _write_qrels(folder: Path, year: int, about: dict[str, dict[str, int]]) -> None:
    """Every document relevant to the topics about its pair, and for every topic one that is not."""
    texts = {}
    since = {language: min(paper.since for paper in PAPERS if paper.language == language) for language in about}
    for language, subjects in about.items():
        if since[language] > year:
            continue
        papers = [paper for paper in PAPERS if paper.language == language and paper.since <= year]
        ids = [id_ for id_ in subjects if any(id_.startswith(paper.id.partition("{")[0]) for paper in papers)]
        lines = []
        for topic in TOPIC_IDS[year]:
            relevant = [id_ for id_ in ids if subjects[id_] % 72 == topic % 72]
            lines += [f"{topic} 0 {id_} 1" for id_ in relevant]
            lines += [f"{topic} 0 {id_} 0" for id_ in ids if id_ not in relevant][:1]
        texts[QRELS[language]] = "".join(f"{line}\n" for line in lines)
    _write(folder, texts)


def _write(folder: Path, texts: dict[str, str], latin: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("iso-8859-1" if latin and "-ru" not in name else "utf-8"))
