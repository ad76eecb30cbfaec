"""From texts to terms: every kind of analysis, what languages need besides, and a choice for every language."""

import pytest

from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.retrieval.analysis import KINDS, STOP_WORDS, analyzer, identity, stop_words, without_lucene
from xlrank.retrieval.light import SHORTEST, TURKIC, has_light_stemmer, light_stemmer


@pytest.mark.parametrize(
    ("kind", "language", "text", "terms"),
    [
        ("words", "ky", "Жогорку Кеңеш, 2003-жыл.", ["жогорку", "кеңеш", "2003", "жыл"]),
        ("words", "hi", "हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("snowball", "en", "The bridge's old bridges and ferries", ["bridg", "old", "bridg", "ferri"]),
        ("snowball", "en", "s", ["s"]),  # of which the stemmer leaves nothing
        ("snowball", "tr", "İstanbul'da IŞIK kitapları ve", ["istanbul", "ışık", "kitap"]),
        ("snowball", "ru", "Старые мосты через реку", ["стар", "мост", "рек"]),
        ("snowball", "fa", "كتاب\u200cهاي ۱۲", ["کتاب", "های", "12"]),
        ("snowball", "uk", "Мости міста", ["мости", "міста"]),  # Snowball has no Ukrainian
        ("snowball", "ro", "mările", ["măr"]),
        ("bigrams", "zh", "马其顿人将NATO公投 字", ["马其", "其顿", "顿人", "人将", "nato", "公投", "字"]),
        ("bigrams", "ja", "ﾏｹﾄﾞﾆｱ人", ["マケ", "ケド", "ドニ", "ニア", "ア人"]),
        ("bigrams", "th", "ชาว 2019", ["ชา", "าว", "2019"]),
        ("bigrams", "lo", "ພາສາ", ["ພາ", "າສ", "ສາ"]),
        ("bigrams", "he", "שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("bigrams", "si", "සිංහල", ["සිංහල"]),
        ("bigrams", "bho", "भाषा", ["भाषा"]),
        ("bigrams", "ko", "마케도니아 a", ["마케", "케도", "도니", "니아", "a"]),
        ("prefix", "ug", "سايلىغۇچىلارنىڭ ئۇ", ["سايلى", "ئۇ"]),
        ("words", "ug", "ئ\u200dۆلۈم کىتاب", ["ئۆلۈم", "كىتاب"]),
        ("words", "ug", "بىله\u200cن مه شهه\u200cر بالی بیر", ["بىلەن", "مە", "شھەر", "بالى", "بير"]),
        ("words", "ar", "كتا\u200dب", ["كتاب"]),
        ("words", "ky", "ѳзгɵчѳ Ӊ ёлка", ["өзгөчө", "ң", "елка"]),
        ("snowball", "ru", "учёный ученый", ["учен", "учен"]),
        ("words", "tr", "i\u0307stanbul", ["istanbul"]),
        ("prefix", "uz", "O’zbekiston o'zbek", ["oʻzbe", "oʻzbe"]),
        ("bigrams", "yo", "Ọ̀yọ́ ìlú", ["ọ̀yọ́", "ìlú"]),
        ("bigrams", "km", "ភាសា ២", ["ភា", "ាស", "សា", "២"]),
        ("prefix", "az", "Işıq", ["ışıq"]),
        ("ngrams", "so", "reer e", ["_ree", "reer", "eer_", "_e_"]),
        ("light", "ky", "шайлоочулардын китептеринен", ["шайлоочу", "китеп"]),
        ("light", "kk", "қалаларында қала", ["қала", "қала"]),
        ("light", "sw", "kitabu vitabu anapiga watapiga", ["tab", "tab", "pig", "pig"]),
        ("light", "so", "wadanka wadan magaalooyinka", ["wadan", "wadan", "magaalooyin"]),
    ],
)
def test_terms(kind: str, language: str, text: str, terms: list[str]) -> None:
    assert analyzer(kind, language)(text) == terms


def test_word_pieces_are_those_of_the_base() -> None:
    assert analyzer("pieces", "ky")("Шайлоо жыйынтыгы")[0].startswith("▁ша")


@pytest.mark.parametrize("text", ["", " — …", "\x00\ud800 \u200e"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pieces"])
def test_nothing_gives_no_terms(kind: str, text: str) -> None:
    assert analyzer(kind, "ky" if kind == "light" else "en")(text) == []


def test_every_language_has_an_analysis_that_keeps_its_words() -> None:
    for language in LANGUAGES:
        kind = without_lucene(language)
        assert analyzer(kind, language)("xylophon 2003")[-1] == "2003", language
    assert without_lucene("ky") == LANGUAGES["ky"].tokens == "prefix"


def test_stop_words_are_there_and_are_words() -> None:
    for language in STOP_WORDS:
        words = stop_words(language)
        assert 30 < len(words) < 400, language
        assert not set(analyzer("snowball", language)(" ".join(sorted(words)))) & words or language == "tr"
    assert stop_words("ky") == frozenset()


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(XlrankError, match="'stems': unknown; expected one of words"):
        analyzer("stems", "en")
    with pytest.raises(XlrankError, match="'light': there is none for 'de'"):
        analyzer("light", "de")


def test_identity_tells_kinds_languages_and_versions_apart() -> None:
    found = [identity("words", "ky"), identity("words", "kk"), identity("light", "ky"), identity("snowball", "ru")]
    assert len({str(one) for one in found}) == 4
    assert found[3][-1]  # versions


@pytest.mark.parametrize("language", [*TURKIC, "sw", "so"])
def test_light_stemmers_leave_short_words_alone_and_always_something(language: str) -> None:
    stem, letters = light_stemmer(language), TURKIC[language].vowels if language in TURKIC else "aeiou"
    for letter in letters:
        for length in range(1, 12):
            assert stem(letter * length)
    if language in TURKIC:
        assert all(len(stem("т" * SHORTEST + ending)) >= SHORTEST for ending in ("лар", "", "дын"))
    assert has_light_stemmer(language)
    assert not has_light_stemmer("de")
