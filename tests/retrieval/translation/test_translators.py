"""Translations from files and models: ids held against the topics, texts kept as they are made, what looks wrong named."""

import json
from pathlib import Path
from typing import Any

import pytest

from xlrank.collections import Collection, Topic
from xlrank.errors import XlrankError
from xlrank.retrieval.translation.degenerate import check_translations, degenerate
from xlrank.retrieval.translation.file import FileTranslator
from xlrank.retrieval.translation.model import ModelTranslator, sentences
from xlrank.retrieval.translation.store import TranslationStore

TOPICS = [Topic("1", "көпүрө", "дарыя жана көпүрө"), Topic("2", "шайлоо")]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


def test_a_file_in_the_order_of_the_topics(tmp_path: Path) -> None:
    (tmp_path / "ky-en.tsv").write_text("# made by hand\n2\telection\n1\tbridge\tthe river and the bridge\n")
    translator = FileTranslator(tmp_path / "{query}-{document}.tsv")
    assert translator.translate(TOPICS, "ky", "en") == [Topic("1", "bridge", "the river and the bridge"), Topic("2", "election")]
    before = translator.identity
    (tmp_path / "ky-en.tsv").write_text("2\tvote\n1\tbridge\n")
    assert translator.identity != before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1\tbridge\n", "lacks"),
        ("1\tbridge\n2\telection\n3\tmore\n", "is not among the ky topics"),
        ("", "holds no|lacks"),
        ("1\ta\tb\tc\n", "line 1"),
    ],
)
def test_a_file_of_other_topics(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(XlrankError, match=problem):
        FileTranslator(tmp_path / "t.tsv").translate(TOPICS, "ky", "en")


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (Topic("1", "мектеп жана шайлоо"), Topic("1", "school and election"), ""),
        (Topic("1", "мектеп"), Topic("1", "school school school school"), "repeated"),
        (Topic("1", "алма базары кымбат"), Topic("1", "алма базары кымбат"), "copied"),
        (Topic("1", "мектеп"), Topic("1", ""), "empty"),
        (Topic("1", "мектеп"), Topic("1", "a school that stands in the middle of a town by the river"), "too long"),
    ],
)
def test_what_looks_wrong(source: Topic, target: Topic, reason: str) -> None:
    found = degenerate(source, target)
    assert bool(found) == bool(reason)
    assert all(reason in one for one in found)


def test_human_translations_look_right() -> None:
    """All topics of mini against each other, in all pairs of its twelve languages."""
    collection = Collection("mini")
    topics = {language: collection.topics(language) for language in collection.query_languages}
    for source, asked in topics.items():
        for target, found in topics.items():
            if source != target:
                assert check_translations(asked, found).reasons == {}, (source, target)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Mr. Smith met Dr. No. They talked.", ["Mr. Smith met Dr. No. They talked."]),
        ("The bridge is closed. When will it open?", ["The bridge is closed.", "When will it open?"]),
        ("Бюджет 5 млн. доллар болду. Эмнеге?", ["Бюджет 5 млн. доллар болду.", "Эмнеге?"]),
        ("桥关闭了。什么时候开放？", ["桥关闭了。", "什么时候开放？"]),
        ("", []),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_wrong_translations_are_reported_or_dropped() -> None:
    translated = [Topic("1", "bridge", "river river river river"), Topic("2", "election")]
    reported = check_translations(TOPICS, translated)
    assert reported.topics == translated
    assert list(reported.reasons) == ["1"]
    assert "1 of 2 translations look wrong" in reported.summary
    dropped = check_translations(TOPICS, translated, "drop")
    assert dropped.topics[0] == Topic("1", "bridge", "")
    assert check_translations(TOPICS[1:], translated[1:]).summary == ""


def test_the_store_is_readable_and_goes_on_after_an_interruption(tmp_path: Path) -> None:
    store = TranslationStore({"model": "m", "beams": 5}, "ky", "en")
    store.add([("көпүрө", "bridge")])
    text = store.path.read_text(encoding="utf-8")
    assert "# model: m" in text
    assert text.endswith("көпүрө\tbridge\n")
    with store.path.open("a") as stream:
        stream.write("шайлоо\telec")  # cut short
    again = TranslationStore({"model": "m", "beams": 5}, "ky", "en")
    assert "көпүрө" in again
    assert "шайлоо" not in again
    again.add([("шайлоо", "election")])
    assert TranslationStore({"model": "m", "beams": 5}, "ky", "en")["шайлоо"] == "election"
    assert "көпүрө" not in TranslationStore({"model": "other", "beams": 5}, "ky", "en")


@pytest.fixture(scope="module")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random sequence-to-sequence model with a vocabulary of letters, in the layout of NLLB."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("translator") / "tiny"
    letters = "abcdefghijklmnopqrstuvwxyzабвгдеёжзийклмнңоөпрстуүфхцчшщъыьэюя▁"
    special = ["<s>", "<pad>", "</s>", "<unk>", "__ky__", "__en__"]
    pieces = [*special, *letters]
    tokenizer: Any = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    marks = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, additional_special_tokens=special[4:], **marks).save_pretrained(folder)
    torch.manual_seed(3)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = M2M100Config(vocab_size=len(pieces), encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64, **sizes)
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_a_model_without_the_language_is_named(tiny_translator: Path) -> None:
    with pytest.raises(XlrankError) as caught:
        ModelTranslator(str(tiny_translator)).translate(TOPICS, "ug", "en")
    assert str(tiny_translator) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(XlrankError) as caught:
        ModelTranslator(str(tmp_path)).translate(TOPICS, "ky", "en")
    assert "\n" not in str(caught.value)
