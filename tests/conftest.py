"""What the tests share: tiny random bases, modules that clearly change their output, and a small collection."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING, Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub, which reads it once

if TYPE_CHECKING:
    from xlrank.bases import Base
    from xlrank.composition import Composition
    from xlrank.modules import Module
    from xlrank.progress import Progress
    from xlrank.ranking.pairs import Batch

HIDDEN, LAYERS, POSITIONS = 32, 2, 64
CYRILLIC = "абвгдеёжзийклмнңоөпрстуүфхцчшщъыьэюя"
WORDS = (
    "the a of in and river bridge election school water market doctor apple winter train "
    "дарыя көпүрө шайлоо мектеп суу базар доктур алма кыш поезд жана менен үчүн"
).split()
LETTERS = ascii_lowercase + "äöüçşğı" + CYRILLIC
PUNCTUATION = ".,?!-:"
SETTINGS = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.2,
}

MASKED = (
    "embeddings.word_embeddings.weight",
    "encoder.layer.0.attention.self.query.weight",
    "encoder.layer.1.output.dense.bias",
    "encoder.layer.1.output.LayerNorm.weight",
)
"""Parameters that the tests' masks change."""
UPDATED = tuple(f"encoder.layer.{i}.attention.self.{part}" for i in range(LAYERS) for part in ("query", "value"))
"""Linear layers that the tests' LoRAs update."""

DOCUMENTS = {
    "en": [
        ("d1", "River bridge", "the bridge of the river and the water"),
        ("d2", "", "a school in winter"),
        ("d3", "Election", "the election in the school and the market"),
        ("d4", "", "apple market in the winter"),
        ("d5", "", "the doctor and the train"),
        ("d6", "", "water of the river"),
    ],
    "de": [
        ("g1", "Brücke", "die brücke und das wasser"),
        ("g2", "", "der markt im winter"),
        ("g3", "", "die wahl in der schule"),
    ],
}
TOPICS = {
    "ky": [("1", "көпүрө", "дарыя жана көпүрө"), ("2", "шайлоо", "мектеп жана шайлоо"), ("10", "алма базар", "кыш базар")],
    "tr": [("1", "köprü", "su ve köprü"), ("2", "seçim", "okulda seçim"), ("10", "elma pazar", "pazar ve elma")],
}
QRELS = [
    ("1", "d1", 2),
    ("1", "d6", 1),
    ("1", "d2", 0),
    ("1", "g1", 1),
    ("1", "g2", 0),
    ("2", "d3", 1),
    ("2", "d5", 0),
    ("2", "g3", 1),
    ("10", "d4", 1),
    ("10", "d3", 0),
    ("10", "g2", 1),
]


class RecordedStages:
    """What is told to the stages that begin.

    Attributes:
        reports: (done, total) of each stage, by description.
    """

    def __init__(self) -> None:
        self.reports: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def __call__(self, description: str) -> "Iterator[Progress]":
        told = self.reports.setdefault(description, [])
        yield lambda done, total: told.append((done, total))


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own, and float32 where the machine's own measurement would decide."""
    from xlrank.precision import resolve_precision

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLRANK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setattr("xlrank.precision._bf16_gain", lambda: 1.0)
        resolve_precision()  # puts the answer into the cache, which commands that tests start share
        yield


@pytest.fixture(scope="session")
def tiny_bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers with a WordPiece vocabulary of letters and a few words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bases") / "tiny-bert"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + x for x in LETTERS), *digits, *PUNCTUATION, *WORDS]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=POSITIONS, type_vocab_size=2, **SETTINGS)
    _randomised(BertModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_xlmr_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random XLM-R of two layers with a Unigram vocabulary of letters and a few words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    folder = tmp_path_factory.mktemp("bases") / "tiny-xlmr"
    singles = [*LETTERS, *digits, *PUNCTUATION, "▁", *LETTERS.upper()]
    words = [(f"▁{word}", -5.0) for word in WORDS]
    special = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces = [*special, *dict([(x, -9.0) for x in singles] + words).items(), ("<mask>", 0.0)]
    tokenizer: Any = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    torch.manual_seed(2)
    config = XLMRobertaConfig(vocab_size=len(pieces), max_position_embeddings=POSITIONS + 2, type_vocab_size=1, **SETTINGS)
    _randomised(XLMRobertaModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_base(tiny_bert_folder: Path) -> "Base":
    """The tiny BERT."""
    return load_base(tiny_bert_folder)


@pytest.fixture(scope="session")
def tiny_xlmr_base(tiny_xlmr_folder: Path) -> "Base":
    """The tiny XLM-R."""
    return load_base(tiny_xlmr_folder)


@pytest.fixture
def small_collection(tmp_path: Path) -> Path:
    """A folder with six English and three German documents, and three topics in Kyrgyz and Turkish."""
    return write_collection(tmp_path / "small")


def load_base(folder: Path) -> "Base":
    """A base from a folder."""
    import torch

    from xlrank.bases import Base

    torch.set_num_threads(1)
    return Base(str(folder))


def headed_checkpoint(folder: Path, source: Path, kind: str, **config: Any) -> Any:  # noqa: ANN401 - a configuration's values
    """Save transformers' model of a kind on a tiny encoder, its head at random; the model itself."""
    import torch
    import transformers

    torch.manual_seed(8)
    model = getattr(transformers, kind).from_pretrained(source, **config)
    for name, parameter in model.named_parameters():
        if not name.startswith(model.base_model_prefix + ".") and "decoder.weight" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return model.eval()


def write_collection(folder: Path) -> Path:
    """Write the small collection, without translations."""
    folder.mkdir(parents=True)
    for language, documents in DOCUMENTS.items():
        lines = [json.dumps({"doc_id": id_, "title": title, "text": text}, ensure_ascii=False) for id_, title, text in documents]
        (folder / f"documents.{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for language, topics in TOPICS.items():
        (folder / f"topics.{language}.tsv").write_text("".join("\t".join(topic) + "\n" for topic in topics), encoding="utf-8")
    (folder / "qrels.txt").write_text(
        "".join(f"{topic} 0 {document} {grade}\n" for topic, document, grade in QRELS), encoding="utf-8"
    )
    return folder


def make_adapter(base: "Base", language: str | None, seed: int, **settings: Any) -> "Module":  # noqa: ANN401 - an adapter's settings
    """A language module with weights from N(0, 0.2); by default with an invertible adapter and reduction factor 2."""
    from xlrank.modules.kinds.adapter.config import AdapterConfig
    from xlrank.modules.kinds.adapter.layers import Adapter

    config = AdapterConfig(**{"reduction_factor": 2, "invertible": True} | settings)
    shapes = Adapter(config, HIDDEN, LAYERS).state_dict()
    return _module(base, _random(shapes, seed), config.as_dict(), f"language/{language}", kind="adapter", language=language)


def make_ranking(base: "Base", seed: int, kind: str = "adapter", pooling: str = "cls") -> "Module":
    """A random ranking module with its head: an ``adapter``, or ``full`` differences to all weights but the pooler's."""
    from xlrank.modules.kinds.adapter.config import AdapterConfig
    from xlrank.modules.kinds.adapter.layers import Adapter
    from xlrank.modules.kinds.head.layers import RankingHead

    config = AdapterConfig(reduction_factor=4)
    shapes = dict(Adapter(config, HIDDEN, LAYERS).state_dict() if kind == "adapter" else base.encoder.named_parameters())
    shapes = {name: value for name, value in shapes.items() if not name.startswith("pooler.")}
    shapes |= {f"head.{name}": value for name, value in RankingHead(HIDDEN).state_dict().items()}
    settings = config.as_dict() if kind == "adapter" else {}
    return _module(
        base, _random(shapes, seed), settings | {"pooling": pooling}, "ranking/en", kind=kind, role="ranking", language="en"
    )


def make_late_ranking(base: "Base", seed: int, kind: str = "adapter", **settings: Any) -> "Module":  # noqa: ANN401
    """A random ranking module for late interaction, of any kind; ``settings`` are those of :class:`LateSettings`.

    With ``dim`` it has a projection.
    """
    import torch

    from xlrank.modules import Module
    from xlrank.modules.kinds.head.late import PROJECTION, LateSettings

    if kind in ("adapter", "full"):
        made = make_ranking(base, seed, kind)
    else:
        made = make_mask(base, "en", seed) if kind == "mask" else make_lora(base, "en", seed)
    tensors = {name: tensor for name, tensor in made.tensors.items() if not name.startswith("head.")}
    if (dim := settings.get("dim")) is not None:
        tensors[PROJECTION] = torch.randn(dim, HIDDEN, generator=torch.Generator().manual_seed(seed))
    config = {name: value for name, value in made.config.items() if name != "pooling"}
    config["late"] = LateSettings(**settings).as_dict()
    fields = {"name": "ranking/late", "kind": kind, "role": "ranking", "language": "en", "base": made.base}
    return Module.create(tensors, config=config, **fields)


def make_mask(base: "Base", language: str | None, seed: int, names: Sequence[str] = MASKED, **fields: Any) -> "Module":  # noqa: ANN401
    """A sparse mask that changes a third of the values of the named parameters."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Any] = {}
    for name in names:
        count = dict(base.encoder.named_parameters())[name].numel()
        index = torch.randperm(count, generator=generator)[: count // 3].sort().values
        tensors |= {f"index.{name}": index, f"value.{name}": torch.randn(len(index), generator=generator) * 0.3}
    return _module(base, tensors, {}, f"language/{language}", **{"kind": "mask", "language": language} | fields)


def make_lora(base: "Base", language: str | None, seed: int, rank: int = 3, names: Sequence[str] = UPDATED) -> "Module":
    """A LoRA of the named linear layers, with a scaling of its own for each."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Any] = {}
    for name in names:
        outputs, inputs = base.encoder.get_submodule(name).weight.shape
        tensors |= {f"A.{name}": torch.randn(rank, inputs, generator=generator) * 0.2}
        tensors |= {f"B.{name}": torch.randn(outputs, rank, generator=generator) * 0.2}
    config = {"scaling": {name: 0.5 + i / len(names) for i, name in enumerate(names)}, "rank": rank}
    return _module(base, tensors, config, f"language/{language}", kind="lora", language=language)


def changed_module(
    module: "Module",
    tensors: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    **fields: Any,  # noqa: ANN401 - a module's own
) -> "Module":
    """The module with other tensors, configuration or fields."""
    from xlrank.modules import Module

    kept = {name: getattr(module, name) for name in ("name", "kind", "role", "language", "base")}
    return Module.create(tensors, **kept | {"config": dict(module.config) | dict(config or {})} | fields)


def make_head(base: "Base", seed: int) -> "Module":
    """A prediction head for masked language modelling, close to the identity."""
    from xlrank.modules.kinds.head.layers import MlmHead

    start = MlmHead(HIDDEN, int(base.config.vocab_size), 1e-12).state_dict()
    noise = _random(start, seed)
    return _module(base, {n: v + noise[n] for n, v in start.items()}, {}, "head/mlm", kind="head", role="head", language=None)


def make_batch(base: "Base", pairs: Sequence[tuple[str, str]]) -> "Batch":
    """Pairs of texts as one padded batch."""
    from xlrank.ranking.pairs import PairEncoder

    encoder = PairEncoder(base)
    return encoder.batch(encoder.encode(pairs))


def composed_states(base: "Base", composition: "Composition", pairs: Sequence[tuple[str, str]]) -> Any:  # noqa: ANN401 - a tensor
    """Last hidden states [rows, tokens, hidden] of the composed encoder."""
    import torch

    from xlrank.composition.compose import compose

    with torch.inference_mode():
        return compose(base, composition).eval()(**make_batch(base, pairs).tensors())


def snapshot(base: "Base") -> dict[str, bytes]:
    """The bytes of every weight and buffer of a base's encoder."""
    named = [*base.encoder.named_parameters(), *base.encoder.named_buffers()]
    return {name: tensor.detach().numpy().tobytes() for name, tensor in named}


def _randomised(model: Any) -> Any:  # noqa: ANN401 - transformers' own types
    """Biases and layer norms start at 0 and 1, where mistakes would not show: move them."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def _random(shapes: Mapping[str, Any], seed: int) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(tensor.shape, generator=generator) * 0.2 for name, tensor in shapes.items()}


def _module(base: "Base", tensors: Mapping[str, Any], config: Mapping[str, Any], name: str, **fields: Any) -> "Module":  # noqa: ANN401
    from xlrank.modules import BaseReference, Module

    reference = BaseReference(base.name, base.fingerprint)
    return Module.create(tensors, name=name, base=reference, config=config, **{"role": "language"} | fields)
