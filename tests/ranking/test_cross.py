"""Cross-encoders: the length that a checkpoint states is kept to, another one can be asked for, and cuts are counted."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

from tests.conftest import POSITIONS
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.ranking import Ranker
from xlrank.runs import Run

STATED = 16
TEXT = "the bridge of the river and the water in winter and the market of the school and the doctor"
PAIRS = [("дарыя жана көпүрө", TEXT), ("шайлоо", "the election"), ("суу", TEXT)]


@pytest.fixture(scope="module")
def cross_encoder(tiny_bert_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder on the tiny BERT, saved with a limit of its own."""
    folder = tmp_path_factory.mktemp("cross") / "model"
    torch.manual_seed(4)
    config = BertConfig.from_pretrained(tiny_bert_folder, num_labels=1)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(BertModel.from_pretrained(tiny_bert_folder).state_dict())
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert_folder, model_max_length=STATED).save_pretrained(folder)
    return folder


def by_transformers(folder: Path, length: int) -> list[float]:
    """What transformers' own model gives for the pairs, cut to a length."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), BertForSequenceClassification.from_pretrained(folder).eval()
    inputs = [tokenizer(*pair, truncation="longest_first", max_length=length, return_tensors="pt") for pair in PAIRS]
    with torch.no_grad():
        return [float(model(**each).logits[0, 0]) for each in inputs]


def as_module(folder: Path, base: Base) -> Module:
    return Module.load(folder, base=base)


def ranker(folder: Path, own_base: Base | None, max_length: int | None = None) -> Ranker:
    """The checkpoint as its own base, or as a module on another base."""
    if own_base is None:
        return Ranker(Base(str(folder)), "none", precision="fp32", max_length=max_length)
    return Ranker(own_base, as_module(folder, own_base), precision="fp32", max_length=max_length)


@pytest.mark.parametrize("way", ["base", "module"])
@pytest.mark.parametrize(("asked", "length"), [(None, STATED), (24, 24), (POSITIONS, POSITIONS), (500, POSITIONS)])
def test_the_stated_length_is_kept_to_unless_another_is_asked_for(
    cross_encoder: Path, tiny_base: Base, way: str, asked: int | None, length: int
) -> None:
    scores = ranker(cross_encoder, tiny_base if way == "module" else None, asked).score(PAIRS)
    np.testing.assert_allclose(scores, by_transformers(cross_encoder, length), atol=1e-5)
    if length != STATED:
        assert abs(scores[0] - by_transformers(cross_encoder, STATED)[0]) > 1e-4


def test_sentence_transformers_file_goes_before_the_tokenizer_s(cross_encoder: Path, tiny_base: Base, tmp_path: Path) -> None:
    for file in cross_encoder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12}))
    for scores in (ranker(tmp_path, None).score(PAIRS), ranker(tmp_path, tiny_base).score(PAIRS)):
        np.testing.assert_allclose(scores, by_transformers(cross_encoder, 12), atol=1e-5)


def test_a_module_that_states_nothing_takes_what_the_base_does(cross_encoder: Path, tiny_base: Base, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((cross_encoder / name).read_bytes())
    module = as_module(tmp_path, tiny_base)
    assert "max_length" not in module.config
    np.testing.assert_allclose(
        Ranker(tiny_base, module, precision="fp32").score(PAIRS), by_transformers(cross_encoder, POSITIONS), atol=1e-5
    )


def test_cut_pairs_are_counted_once(cross_encoder: Path, tiny_base: Base, caplog: pytest.LogCaptureFixture) -> None:
    said = f"cross-encoder: 2 of 3 pairs are longer than {STATED} word pieces and were cut to that"
    with caplog.at_level(logging.WARNING, logger="xlrank"):
        ranker(cross_encoder, tiny_base).score(PAIRS)
        ranker(cross_encoder, tiny_base, POSITIONS).score(PAIRS)
    assert [record.message for record in caplog.records] == [said]


def test_a_reranked_run_notes_its_cuts(cross_encoder: Path, tiny_base: Base, small_collection: Path) -> None:
    collection = Collection(f"folder:{small_collection}")
    run = Run.of("first", {"1": {"d1": 2.0, "d2": 1.0}, "2": {"d3": 1.0}})

    def notes(max_length: int | None) -> object:
        made = ranker(cross_encoder, tiny_base, max_length)
        return made.rerank(run, collection, query_language="ky", document_language="en").metadata.get("notes")

    assert notes(12) == ["cross-encoder: 2 of 3 pairs are longer than 12 word pieces and were cut to that"]
    assert notes(POSITIONS) is None


def test_a_reranked_run_notes_each_oddity_once(cross_encoder: Path, tiny_base: Base, small_collection: Path) -> None:
    with (small_collection / "documents.en.jsonl").open("a") as stream:
        stream.write('{"doc_id": "d7", "text": "\\u200c"}\n')
    run = Run.of("first", {"1": {"d7": 3.0, "d1": 2.0, "d2": 1.0}, "2": {"d3": 1.0, "d7": 0.5}, "99": {"d1": 1.0}})
    found = ranker(cross_encoder, tiny_base, 12).rerank(
        run, Collection(f"folder:{small_collection}"), query_language="ky", document_language="en"
    )
    assert [found.rankings[topic][-1][0] for topic in ("1", "2")] == ["d7", "d7"]
    assert found.metadata["notes"] == [
        "topics that are not in the collection, left out: 1 (99)",
        "document 'd7' has no content and ranks last",
        "cross-encoder: 2 of 5 pairs are longer than 12 word pieces and were cut to that",
    ]


@pytest.mark.parametrize("length", [0, 3])
def test_a_length_that_leaves_nothing_is_refused(cross_encoder: Path, tiny_base: Base, length: int) -> None:
    with pytest.raises(XlrankError, match=f"max_length {length}: too short for a pair"):
        ranker(cross_encoder, tiny_base, length).score(PAIRS)
