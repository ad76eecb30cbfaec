"""How translation models call languages: the models' families, told by the language marks in their vocabularies."""

import re
from dataclasses import dataclass
from typing import Any

from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES

FLORES = {
    "en": "eng_Latn",
    "de": "deu_Latn",
    "nl": "nld_Latn",
    "it": "ita_Latn",
    "fr": "fra_Latn",
    "es": "spa_Latn",
    "pt": "por_Latn",
    "ru": "rus_Cyrl",
    "uk": "ukr_Cyrl",
    "fa": "pes_Arab",
    "fi": "fin_Latn",
    "tr": "tur_Latn",
    "ky": "kir_Cyrl",
    "kk": "kaz_Cyrl",
    "ug": "uig_Arab",
    "uz": "uzn_Latn",
    "az": "azj_Latn",
    "sw": "swh_Latn",
    "so": "som_Latn",
    "ar": "arb_Arab",
    "zh": "zho_Hans",
}
"""FLORES-200's codes, which NLLB (NLLB Team 2022) uses."""

MARKED = re.compile(r">>[^<>\s]+<<")
FAMILIES = "M2M-100, NLLB, mBART-50, MADLAD-400, OPUS-MT"


@dataclass(frozen=True)
class Codes:
    """How a model is told the languages.

    Attributes:
        source: the tokenizer's ``src_lang``; None where it has none.
        prefix: put before each text.
        first: the token id that a translation is made to start with; None: whatever the model likes.
    """

    source: str | None = None
    prefix: str = ""
    first: int | None = None


def language_codes(tokenizer: Any, model: str, source: str, target: str) -> Codes:  # noqa: ANN401 - transformers' own types
    """How to ask ``model`` for translations of one language into another.

    M2M-100 has tokens like ``__ky__``, NLLB ``kir_Cyrl``, mBART-50 ``en_XX``, MADLAD-400 ``<2en>``, and OPUS-MT with several
    target languages ``>>eng<<``; an OPUS-MT model without any is for one pair.

    Args:
        tokenizer: the model's.
        model: its name, for messages.
        source: ISO 639-1 code.
        target: ISO 639-1 code.

    Raises:
        XlrankError: the model lacks one of the languages, or its family is not known.
    """
    vocabulary = set(tokenizer.get_vocab()) | {str(token) for token in getattr(tokenizer, "all_special_tokens", [])}
    numbers = getattr(tokenizer, "lang_code_to_id", None)
    if isinstance(numbers, dict) and "en" in numbers:
        _check(model, {source: source in numbers, target: target in numbers})
        return Codes(source=source, first=int(numbers[target]))
    if "eng_Latn" in vocabulary:
        _check(model, {code: FLORES.get(code) in vocabulary for code in (source, target)})
        return Codes(source=FLORES[source], first=int(tokenizer.convert_tokens_to_ids(FLORES[target])))
    if "en_XX" in vocabulary:
        known = {token[:2]: token for token in vocabulary if re.fullmatch(r"[a-z]{2}_[A-Z]{2}", token)}
        _check(model, {code: code in known for code in (source, target)})
        return Codes(source=known[source], first=int(tokenizer.convert_tokens_to_ids(known[target])))
    if "<2en>" in vocabulary:
        _check(model, {target: f"<2{target}>" in vocabulary})
        return Codes(prefix=f"<2{target}> ")
    if hasattr(tokenizer, "supported_language_codes"):
        return _opus(tokenizer, vocabulary, model, source, target)
    raise XlrankError(f"translation model {model!r} names languages in no known way; expected a model of {FAMILIES}")


def _opus(tokenizer: Any, vocabulary: set[str], model: str, source: str, target: str) -> Codes:  # noqa: ANN401
    own = {
        "source": (getattr(tokenizer, "source_lang", None), source),
        "target": (getattr(tokenizer, "target_lang", None), target),
    }
    marks = sorted(token for token in vocabulary if MARKED.fullmatch(token))
    for side, (code, wanted) in own.items():
        # Groups of languages (trk, mul) have codes too; only that of another single language says that it is the wrong model.
        other = _single(code)
        if other and other != wanted and not (side == "target" and marks):
            raise XlrankError(f"translation model {model!r}: its {side} language is {other!r}, not {wanted!r}; choose another")
    if not marks:
        return Codes()
    names = (target, *LANGUAGES[target].aliases, *([FLORES[target]] if target in FLORES else []))
    mark = next((f">>{name}<<" for name in names if f">>{name}<<" in vocabulary), None)
    if mark is None:
        # Scripts and regions follow an underscore: >>cmn_Hans<<.
        mark = next((token for token in marks if token[2:-2].partition("_")[0] in names), None)
    _check(model, {target: mark is not None})
    return Codes(prefix=f"{mark} ")


def _single(code: str | None) -> str | None:
    """The ISO 639-1 code of a language we know; None for groups and others."""
    code = str(code or "").lower()
    return next((known.code for known in LANGUAGES.values() if code in (known.code, *known.aliases)), None)


def _check(model: str, known: dict[str, bool]) -> None:
    missing = [code for code, there in known.items() if not there]
    if missing:
        names = " and ".join(f"{LANGUAGES[code].name} ({code})" for code in missing)
        raise XlrankError(f"translation model {model!r} does not know {names}; choose one that does")
