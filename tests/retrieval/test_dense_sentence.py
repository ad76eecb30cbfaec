"""sentence-transformers models as bi-encoders, against the library itself; tiny random ones that the tests save."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import DOCUMENTS
from xlrank.collections import Document
from xlrank.errors import XlrankError
from xlrank.retrieval.dense import DenseRetriever, SentenceEncoder
from xlrank.retrieval.dense.sentence import BATCH

pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed (the extra `dense`)")

TEXTS = [Document(id_, text, title) for id_, title, text in DOCUMENTS["en"]]
LONG = "the river and the bridge " * 30


def saved(base: Path, folder: Path, length: int | None = 16, pooling: str = "mean", **settings: Any) -> str:  # noqa: ANN401
    """A sentence-transformers model around a tiny encoder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    torch.set_num_threads(1)
    encoder = Transformer(str(base), max_seq_length=length)
    SentenceTransformer(modules=[encoder, Pooling(32, pooling)], device="cpu", **settings).save(str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def model(tiny_bert_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """With prompts, 16 word pieces, and the cosine."""
    prompts = {"query": "apple: ", "passage": "the school: ", "other": "x"}
    return saved(tiny_bert_folder, tmp_path_factory.mktemp("st") / "m", prompts=prompts, similarity_fn_name="cosine")


def test_prompts_length_and_similarity_are_the_models_own(model: str) -> None:
    from sentence_transformers import SentenceTransformer

    encoder, theirs = SentenceEncoder(model, precision="fp32"), SentenceTransformer(model, device="cpu")
    assert (encoder.prefix("query"), encoder.prefix("document"), encoder.similarity) == ("apple: ", "the school: ", "cosine")
    assert encoder.identity["max_length"] == 16
    texts = ["the river", LONG, "алма", "election in the school and the market"]
    for side, prompt in (("query", "apple: "), ("document", "the school: "), (None, "")):
        expected = theirs.encode(texts, prompt=prompt, normalize_embeddings=True, show_progress_bar=False)
        assert np.abs(encoder.encode(texts, side) - expected).max() < 1e-6  # type: ignore[arg-type]
    assert np.linalg.norm(encoder.encode(texts), axis=1) == pytest.approx(1, abs=1e-6)
    assert encoder.encode([]).shape == (0, 32)


def test_given_prefixes_and_length_win(model: str) -> None:
    usual = SentenceEncoder(model, precision="fp32")
    given = SentenceEncoder(model, query_prefix="", document_prefix="x ", max_length=8, precision="fp32")
    assert given.encode(["river"], "query").tolist() == usual.encode(["river"]).tolist()
    assert given.encode(["river"], "document").tolist() == usual.encode(["x river"]).tolist()
    assert given.encode([LONG]).tolist() == given.encode([LONG[:60]]).tolist() != usual.encode([LONG]).tolist()
    assert given.identity["max_length"] == 8


def test_no_more_word_pieces_than_positions(tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path) -> None:
    for base, positions in ((tiny_bert_folder, 64), (tiny_xlmr_folder, 64)):
        name = saved(base, tmp_path / base.name, length=1000)
        for encoder in (SentenceEncoder(name), SentenceEncoder(name, max_length=900)):
            assert encoder.identity["max_length"] == positions
            assert encoder.encode([LONG * 5], "document").shape == (1, 32)


def test_search_with_inner_products(tiny_bert_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    name = saved(tiny_bert_folder, tmp_path / "dot", pooling="cls", similarity_fn_name="dot")
    retriever = DenseRetriever(SentenceEncoder(name, precision="fp32"))
    run = retriever.search(retriever.index(TEXTS, tmp_path), TEXTS, {"1": "the bridge", "2": "алма"}, 10)
    theirs = SentenceTransformer(name, device="cpu")
    similarities = theirs.similarity(theirs.encode(["the bridge", "алма"]), theirs.encode([d.full_text for d in TEXTS]))
    for found, expected in zip(run.scores().values(), similarities.tolist(), strict=True):
        assert found == pytest.approx({d.id: score for d, score in zip(TEXTS, expected, strict=True)}, rel=1e-4)
    method = run.metadata["method"]
    assert (method["model"], method["similarity"], method["document_prefix"]) == (name, "dot", "")


def test_the_fingerprint_is_of_what_decides_the_vectors(model: str, tiny_bert_folder: Path, tmp_path: Path) -> None:
    base = dict(SentenceEncoder(model, precision="fp32").identity)
    again = SentenceEncoder(model, precision="fp32")
    again.encode([LONG, "a"])
    assert dict(again.identity) == base
    cls = SentenceEncoder(saved(tiny_bert_folder, tmp_path / "cls", pooling="cls"), precision="fp32").identity
    assert cls["fingerprint"] != base["fingerprint"]
    assert SentenceEncoder(model, document_prefix="", precision="fp32").identity["document_prefix"] == ""
    assert SentenceEncoder(model, query_prefix="x", precision="fp32").identity == base


def test_a_plain_encoder_is_pooled_to_its_mean_and_keeps_its_fingerprint(tiny_bert_folder: Path, tmp_path: Path) -> None:
    """Also where its checkpoint lacks the pooler, which is then drawn at random each time."""
    from transformers import AutoTokenizer, BertModel

    BertModel.from_pretrained(tiny_bert_folder, add_pooling_layer=False).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert_folder).save_pretrained(tmp_path)
    encoder = SentenceEncoder(str(tmp_path), precision="fp32")
    assert (
        encoder.encode(["the river"]).tolist() == SentenceEncoder(str(tmp_path), precision="fp32").encode(["the river"]).tolist()
    )
    assert encoder.identity["fingerprint"] == SentenceEncoder(str(tmp_path), precision="fp32").identity["fingerprint"]


def test_bf16_is_near_and_progress_is_told(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH, "cpu", 1)
    texts, done = [f"river {i}" for i in range(40)], list[tuple[int, int]]()
    exact = SentenceEncoder(model, precision="fp32").encode(texts, "query", lambda *x: done.append(x))
    assert done == [(16, 40), (32, 40), (40, 40)]
    rough = SentenceEncoder(model, precision="bf16").encode(texts, "query")
    assert rough.dtype == np.float32
    assert (exact * rough).sum(1).min() > 0.999
    assert np.linalg.norm(rough, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["no-such-model-anywhere", "org/no-such-model", "./no/such/folder"])
def test_a_model_that_cannot_be_found_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(XlrankError) as caught:
        DenseRetriever(SentenceEncoder(name)).index(TEXTS, tmp_path)
    assert str(caught.value).startswith(f"sentence-transformers model {name!r} cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_code_of_a_model_is_not_run(model: str, tmp_path: Path) -> None:
    import shutil

    folder, mark = tmp_path / "hostile", tmp_path / "ran"
    shutil.copytree(model, folder)
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Pooling: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "evil.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(XlrankError, match="cannot be loaded"):
        SentenceEncoder(str(folder)).encode(["a"])
    assert not mark.exists()


def test_impossible_settings_are_refused_before_anything_is_loaded() -> None:
    with pytest.raises(XlrankError, match="max_length is 2"):
        SentenceEncoder("none", max_length=2)
    with pytest.raises(XlrankError, match="int8"):
        SentenceEncoder("none", precision="int8")


def test_a_model_without_tokenizer_files_is_refused(model: str, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    for path in copy.glob("*token*"):
        path.unlink()
    with pytest.raises(XlrankError, match="sentence-transformers model '.*': (has no vocabulary|cannot be loaded)") as caught:
        SentenceEncoder(str(copy)).encode(["the river"])
    assert "\n" not in str(caught.value)
