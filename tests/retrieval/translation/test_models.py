"""Real models of two families, tiny and random, through transformers' own classes: Marian and M2M-100."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from xlrank.collections import Topic
from xlrank.errors import XlrankError
from xlrank.retrieval.translation.codes import Codes
from xlrank.retrieval.translation.model import ModelTranslator

TOPICS = [Topic("1", "алма базар", "Дарыя жана көпүрө. Алма базары кайда?"), Topic("2", "алма базар")]
SIZES: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
SIZES |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 64, "init_std": 0.5}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model of letters."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("pieces")
    text = folder / "text"
    text.write_text("алма базар дарыя жана көпүрө кайда\napple market river and the bridge where\n" * 20, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "pieces"), vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    return folder / "pieces.model"


def letters(model: Path) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    return [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


@pytest.fixture(scope="module")
def marian(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OPUS-MT for one pair, Kyrgyz to English."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder = tmp_path_factory.mktemp("marian")
    vocabulary = {piece: i for i, piece in enumerate(["</s>", "<unk>", *letters(pieces), "<pad>"])}
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces.read_bytes())
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "ky", "target_lang": "en", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(1)
    last = len(vocabulary) - 1
    special = {"pad_token_id": last, "decoder_start_token_id": last, "eos_token_id": 0, "forced_eos_token_id": 0}
    MarianMTModel(MarianConfig(vocab_size=len(vocabulary), **SIZES, **special)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def m2m(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """M2M-100, with the languages that its tokenizer brings."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder = tmp_path_factory.mktemp("m2m")
    vocabulary = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters(pieces)])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer: Any = M2M100Tokenizer(str(folder / "vocab.json"), str(pieces))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    size = len(vocabulary) + len(tokenizer.lang_code_to_id) + 8
    M2M100ForConditionalGeneration(M2M100Config(vocab_size=size, **SIZES)).save_pretrained(folder)
    return folder


def test_an_opus_model_translates_field_by_field(marian: Path) -> None:
    told: list[tuple[int, int]] = []
    translator = ModelTranslator(str(marian), beams=2, precision="fp32")
    found = translator.translate(TOPICS, "Kyrgyz", "en", lambda done, total: told.append((done, total)))
    assert [topic.id for topic in found] == ["1", "2"]
    assert found[0].title == found[1].title != ""
    assert found[1].description == ""
    assert told[-1] == (3, 3), "a title that stands twice is translated once, a description of two sentences in two parts"


def test_what_is_translated_is_not_translated_again(marian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ModelTranslator(str(marian), beams=2, precision="fp32").translate(TOPICS, "ky", "en")
    (path,) = (tmp_path / "cache" / "translations").glob("ky-en-*.tsv")
    assert "# beams: 2" in path.read_text(encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")  # interrupted before the last text
    asked: list[int] = []
    plain = ModelTranslator._translated

    def counted(self: ModelTranslator, texts: Sequence[str], codes: Codes) -> Iterator[list[tuple[str, str]]]:
        asked.append(len(texts))
        return plain(self, texts, codes)

    monkeypatch.setattr(ModelTranslator, "_translated", counted)
    assert ModelTranslator(str(marian), beams=2, precision="fp32").translate(TOPICS, "ky", "en") == first
    assert ModelTranslator(str(marian), beams=2, precision="fp32").translate(TOPICS, "ky", "en") == first
    assert asked == [1]


def test_a_model_of_another_pair_is_refused(marian: Path) -> None:
    with pytest.raises(XlrankError, match="source language is 'ky', not 'tr'"):
        ModelTranslator(str(marian)).translate(TOPICS, "tr", "en")


def test_an_m2m_model_begins_with_the_target_language(m2m: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = ModelTranslator(str(m2m), beams=2, precision="fp32")
    made: list[Any] = []
    generate = type(translator._network).generate

    def kept(self: object, **options: object) -> object:
        made.append(generate(self, **options))
        return made[-1]

    monkeypatch.setattr(type(translator._network), "generate", kept)
    found = translator.translate(TOPICS, "tr", "en")
    assert [topic.id for topic in found] == ["1", "2"]
    assert {int(row[1]) for batch in made for row in batch} == {translator._tokenizer.lang_code_to_id["en"]}
    assert translator._tokenizer.src_lang == "tr"
    with pytest.raises(XlrankError, match=r"does not know Uyghur \(ug\)"):
        translator.translate(TOPICS, "ug", "en")


def test_other_weights_or_beams_are_other_translations(marian: Path, m2m: Path) -> None:
    translators = [ModelTranslator(str(marian)), ModelTranslator(str(marian), beams=1), ModelTranslator(str(m2m))]
    assert len({str(translator.identity) for translator in translators}) == 3
    with pytest.raises(XlrankError, match="beams is 0"):
        ModelTranslator(str(marian), beams=0)


@pytest.mark.parametrize("kind", ["NllbTokenizer", "MBart50Tokenizer"])
def test_a_model_without_tokenizer_files_is_refused(m2m: Path, kind: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((m2m / name).read_bytes())
    (copy / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    with pytest.raises(XlrankError, match=f"^translation model '{copy}': has no vocabulary, so every word would be unknown"):
        ModelTranslator(str(copy)).translate(TOPICS, "ky", "en")
