"""Each family of models is told the languages in its own way, and says so when it lacks one."""

import pytest

from xlrank.errors import XlrankError
from xlrank.retrieval.translation.codes import Codes, language_codes


class Tokenizer:
    """What the tokenizers of transformers show of their languages."""

    all_special_tokens: list[str] = []

    def __init__(self, tokens: list[str], **attributes: object) -> None:
        self.vocabulary = {token: i for i, token in enumerate(tokens)}
        self.__dict__.update(attributes)

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.vocabulary[token]


M2M = Tokenizer(["a"], lang_code_to_id={"en": 7, "ky": 8})
NLLB = Tokenizer(["a", "eng_Latn", "kir_Cyrl"])
MBART = Tokenizer(["en_XX", "tr_TR", "a"])
MADLAD = Tokenizer(["<2ky>", "<2en>"])
PAIR = Tokenizer(["a"], supported_language_codes=[], source_lang="ky", target_lang="en")
MANY = Tokenizer([">>eng<<", ">>cmn_Hans<<"], supported_language_codes=[">>eng<<"], source_lang="trk", target_lang="mul")


@pytest.mark.parametrize(
    ("tokenizer", "languages", "codes"),
    [
        (M2M, ("ky", "en"), Codes("ky", "", 7)),
        (NLLB, ("ky", "en"), Codes("kir_Cyrl", "", 1)),
        (MBART, ("tr", "en"), Codes("tr_TR", "", 0)),
        (MADLAD, ("so", "en"), Codes(None, "<2en> ", None)),
        (PAIR, ("ky", "en"), Codes()),
        (MANY, ("ky", "en"), Codes(None, ">>eng<< ", None)),
        (MANY, ("tr", "zh"), Codes(None, ">>cmn_Hans<< ", None)),
    ],
)
def test_how_a_model_is_told(tokenizer: Tokenizer, languages: tuple[str, str], codes: Codes) -> None:
    assert language_codes(tokenizer, "m", *languages) == codes


@pytest.mark.parametrize(
    ("tokenizer", "languages", "problem"),
    [
        (M2M, ("ug", "en"), r"'m' does not know Uyghur \(ug\)"),
        (NLLB, ("ug", "so"), "Uyghur.*and Somali"),
        (MBART, ("ky", "en"), "Kyrgyz"),
        (MADLAD, ("en", "fi"), "Finnish"),
        (PAIR, ("tr", "en"), "source language is 'ky', not 'tr'"),
        (PAIR, ("ky", "de"), "target language is 'en', not 'de'"),
        (MANY, ("ky", "fi"), "Finnish"),
        (Tokenizer(["a", "b"]), ("ky", "en"), "expected a model of M2M-100"),
    ],
)
def test_a_language_that_a_model_lacks(tokenizer: Tokenizer, languages: tuple[str, str], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        language_codes(tokenizer, "m", *languages)
