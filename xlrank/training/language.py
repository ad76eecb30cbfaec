"""Language modules, trained by one objective or several in turn, and the prediction head that masked language modelling shares.

``mlm`` is the paper's: MAD-X adapters (Pfeiffer et al. 2020), with an invertible adapter whose inverse precedes the prediction
head; LT-SFT masks (Ansell et al. 2022); LoRA. Settings of the paper, section 3.1: reduction factor 2, 15 % masking. The head is
the checkpoint's own. A base without one (the embedded encoder) gets one trained once, everything else frozen, tied to the word
embeddings. The other objectives (:mod:`xlrank.training.objectives`) are for late interaction, where query and document are
encoded apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlrank.bases import Base, UnknownPieces
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, file_hash
from xlrank.languages import language_code
from xlrank.modules import BaseReference, Module
from xlrank.modules.kinds.head.late import LateSettings
from xlrank.modules.kinds.head.layers import MLM_NAMES, MlmHead, build_mlm_head
from xlrank.progress import shown
from xlrank.training.data.articles import open_articles
from xlrank.training.data.parallel import open_pairs
from xlrank.training.learning import learn
from xlrank.training.loop import Learner, Settings
from xlrank.training.objectives import HOLD, LEARNT_FROM, Objective, objectives_named
from xlrank.training.objectives.align import Align
from xlrank.training.objectives.ict import Ict
from xlrank.training.objectives.mlm import IGNORED, MaskedLanguageModel, Masking, Mlm
from xlrank.training.objectives.sides import Encoders, Framer
from xlrank.training.objectives.turns import Together, fit_in_turn
from xlrank.training.recipes import Recipe, recipe_named, start
from xlrank.training.text import TextBlocks, text_blocks
from xlrank.training.trainee import Trainee

__all__ = [
    "IGNORED",
    "LanguageData",
    "MaskedLanguageModel",
    "Masking",
    "Usual",
    "load_mlm_head",
    "train_language",
    "train_mlm_head",
    "usual_run",
]

HEAD_ID = "head/mlm"
DECODER = "decoder"
"""Name of a head's own word vectors, where they are not the encoder's."""
SHORTEST = 8
"""Word pieces a block at least, the two special ones included."""


@dataclass(frozen=True)
class LanguageData:
    """What a language module learns from.

    Attributes:
        texts: for ``mlm``: UTF-8 files, one sentence or paragraph a line.
        parallel: for ``align``: sentence pairs (:func:`~xlrank.training.data.parallel.open_pairs`).
        documents: for ``ict``: articles (:func:`~xlrank.training.data.articles.open_articles`).
        pivot: language of the pairs' translations.
        weights: of the pairs, by source.
    """

    texts: Sequence[Path] = ()
    parallel: Sequence[Path] = ()
    documents: Sequence[Path] = ()
    pivot: str = "en"
    weights: Mapping[str, float] = field(default_factory=dict)

    def files(self) -> list[Path]:
        """All of them."""
        return [*self.texts, *self.parallel, *self.documents]

    def check(self, objectives: Sequence[str]) -> None:
        """Hold what is given against what is to be learnt.

        Raises:
            XlrankError: an objective lacks its files, or files or weights are of no objective.
        """
        given = {"mlm": ("--text", self.texts), "align": ("--parallel", self.parallel), "ict": ("--documents", self.documents)}
        for name, (option, files) in given.items():
            if name in objectives and not files:
                raise XlrankError(f"training: the objective {name} learns from {LEARNT_FROM[name]}; name files with {option}")
            if files and name not in objectives:
                raise XlrankError(f"training: {option} {files[0]} is for the objective {name}, which is not asked for")
        if self.weights and "align" not in objectives:
            raise XlrankError("training: --weight is of sentence pairs, for the objective align, which is not asked for")


@dataclass(frozen=True)
class Usual:
    """Settings that go with objectives, where nothing else is asked for.

    Attributes:
        steps: of the optimiser.
        rate: peak learning rate.
        warmup: share of the steps.
        adapter: settings of an adapter, as :func:`~xlrank.training.recipes.recipe_named` reads them.
    """

    steps: int
    rate: float
    warmup: float
    adapter: Mapping[str, str]


def usual_run(objectives: Sequence[str]) -> Usual:
    """The paper's settings for masked language modelling alone; else a short run of a smaller adapter."""
    if {"align", "ict"} & set(objectives):
        return Usual(240, 5e-4, 0.125, {"reduction_factor": "4", "invertible": "no"})
    return Usual(1000, 1e-4, 0.1, {"reduction_factor": "2", "invertible": "yes"})


def train_language(
    language: str,
    data: LanguageData | Sequence[Path],
    *,
    base: Base,
    settings: Settings,
    objectives: str = "mlm",
    recipe: Recipe | None = None,
    head: Module | None = None,
    length: int = 128,
    query_length: int = 64,
    document_length: int = 96,
    max_tokens: int = 5_000_000,
    full_softmax: bool = False,
    negatives: int = 0,
    licence: str = "see sources",
    work: Path | None = None,
) -> Module:
    """Train a language module on the base alone; all but what its recipe lets learn stays frozen.

    Args:
        language: code of the language.
        data: what to learn from, or just the files with plain text.
        base: the encoder.
        settings: budget and optimiser; ``batch`` counts blocks, pairs or articles.
        objectives: ``mlm``, ``align``, ``ict`` or several joined by ``+``, whose batches take turns; with ``+hold``, pooled
            vectors of ``mlm``'s and ``ict``'s texts stay near the base's.
        recipe: adapter, mask or LoRA with its settings; by default an adapter as :func:`usual_run` has it.
        head: of ``mlm``, a prediction head as made by :func:`train_mlm_head`; by default the checkpoint's own, and the shipped
            one of the embedded base.
        length: of ``mlm``, word pieces a block.
        query_length: of ``align`` and ``ict``, word pieces a query.
        document_length: of ``align`` and ``ict``, word pieces a document.
        max_tokens: of ``mlm``, word pieces of text used at most.
        full_softmax: of ``mlm``, predict over the whole vocabulary instead of the text's word pieces.
        negatives: of ``mlm``, further word pieces that the restricted softmax is over.
        licence: of the data, recorded.
        work: folder for checkpoints.

    Raises:
        XlrankError: objectives and data do not go together, the data are malformed or too few, or ``mlm`` has no prediction head.
    """
    names, language = objectives_named(objectives), language_code(language)
    given = data if isinstance(data, LanguageData) else LanguageData(tuple(data))
    given.check(names)
    recipe = recipe or recipe_named("adapter", usual_run(names).adapter)
    torch.manual_seed(settings.seed)
    trainee = start(recipe, base)
    late = LateSettings(query_length=query_length, document_length=document_length)
    support = 10**9 if full_softmax else negatives
    making = _Making(language, given, base, trainee, HOLD in names, settings.seed)
    head = (head or base_mlm_head(base)) if "mlm" in names else None
    with shown("reading training data"):
        made = [
            making.mlm(head, length, max_tokens, support) if name == "mlm" and head else making.late(name, late)
            for name in names
            if name != HOLD
        ]
    together = Together(made)
    hashes = [file_hash(path) for path in given.files()]
    what = [type(recipe).__name__, asdict(recipe), repr(settings), length, max_tokens, full_softmax, negatives]
    what += [names, late.as_dict(), given.pivot, dict(given.weights), head and head.digest]
    key = content_key("language", language, hashes, base.fingerprint, *what)

    def fit(learner: Learner, phase: Settings, folder: Path) -> dict[str, Any]:
        return fit_in_turn(learner, together, phase, folder, key)

    learnt = learn(recipe, trainee, together, base, fit, settings, work or cache_folder() / "training" / key)
    training = _record(given, licence, names, made, late) | ({"head": {"name": head.name, "digest": head.digest}} if head else {})
    return learnt.module(base, name=f"language/{language}", role="language", language=language, training=training)


class _Making:
    """Makes objectives around a module in the making."""

    def __init__(self, language: str, data: LanguageData, base: Base, trainee: Trainee, hold: bool, seed: int) -> None:
        self.language, self.data, self.base, self.trainee, self.hold, self.seed = language, data, base, trainee, hold, seed
        self._encoders: Encoders | None = None

    @property
    def encoders(self) -> Encoders:
        """One pair for all objectives that compare with the base."""
        if self._encoders is None:
            self._encoders = Encoders(self.base, self.trainee.encoder)
        return self._encoders

    def mlm(self, head: Module, length: int, max_tokens: int, negatives: int) -> Mlm:
        """Masked language modelling."""
        prediction = load_mlm_head(head, self.base).requires_grad_(requires_grad=False)
        options = {"length": length, "max_tokens": max_tokens, "seed": self.seed}
        blocks = _blocks(self.data.texts, self.base, language=self.language, **options)
        words, support = _words(prediction, self.base), _support(self.base, blocks, negatives, self.seed)
        model = MaskedLanguageModel(self.trainee.encoder, prediction, self.trainee.invertible, words, support)
        return Mlm(model, Masking(self.base), blocks, self.seed, self.encoders if self.hold else None)

    def late(self, name: str, settings: LateSettings) -> Objective:
        """Alignment or inverse cloze."""
        framer = Framer(self.base, settings)
        if name == "ict":
            return Ict(self.encoders, framer, open_articles(self.data.documents), settings.temperature, hold=self.hold)
        pivot = language_code(self.data.pivot)
        pairs = open_pairs(self.data.parallel, self.language, pivot, self.base, self.data.weights)
        return Align(self.encoders, framer, pairs, settings.temperature)


def train_mlm_head(
    texts: Sequence[Path],
    *,
    base: Base,
    settings: Settings,
    length: int = 128,
    max_tokens: int = 2_000_000,
    licence: str = "see sources",
    work: Path | None = None,
) -> Module:
    """Train the prediction head that all language modules of a base share, on text of several languages."""
    torch.manual_seed(settings.seed)
    with shown("reading training data"):
        each = [_blocks([path], base, length=length, max_tokens=max_tokens // len(texts), seed=settings.seed) for path in texts]
    blocks = TextBlocks.joined(each)
    head = MlmHead.fresh(base)
    words, support = _words(head, base), _support(base, blocks, 0, settings.seed)
    _start_from_frequencies(head, blocks)
    model = MaskedLanguageModel(ComposedEncoder(base), head, None, words, support)
    objective = Mlm(model, Masking(base), blocks, settings.seed)
    together = Together([objective])
    key = content_key("head", [file_hash(path) for path in texts], base.fingerprint, repr(settings), length, max_tokens)
    record = fit_in_turn(together, together, settings, work or cache_folder() / "training" / key, key)
    record |= {"data": _files(texts), "licence": licence, **objective.facts()}
    return _head_module(head.state_dict(), base, name=HEAD_ID, training=record)


def _start_from_frequencies(head: MlmHead, blocks: TextBlocks) -> None:
    """Set the bias to the word pieces' log frequencies, which training would otherwise spend its first hundreds of steps on."""
    counts = torch.bincount(torch.from_numpy(blocks.train.ravel()).long(), minlength=len(head.bias)).float()
    head.bias.data.copy_((counts + 0.5).log() - (counts + 0.5).sum().log())


def base_mlm_head(base: Base) -> Module:
    """The prediction head that the base's checkpoint holds, or the shipped one if it was made for this base.

    Raises:
        XlrankError: there is neither.
    """
    if any(name in base.head_tensors for name in MLM_NAMES["bias"]):
        head = build_mlm_head([base.head_tensors], base)
        tensors = dict(head.state_dict()) | ({} if head.decoder is None else {DECODER: head.decoder})
        return _head_module(tensors, base, name=f"{base.name}#mlm")
    shipped = Module.load(HEAD_ID)
    if shipped.base.fingerprint == base.fingerprint:
        return shipped
    raise XlrankError(
        f"base {base.name!r}: has no prediction head, which the objective mlm needs; train one with "
        f"`xlrank train head --base {base.name} --text FILE --out my/head`, then add `--head my/head`"
    )


def load_mlm_head(module: Module, base: Base) -> MlmHead:
    """The prediction head that a module of role ``head`` holds."""
    module.check_base(base)
    head, tensors = MlmHead.fresh(base), dict(module.tensors)
    decoder = tensors.pop(DECODER, None)
    if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in head.state_dict().items()}:
        raise XlrankError(f"module {module.name!r} is no prediction head for base {base.name!r}")
    head.load_state_dict(tensors)
    head.decoder = decoder
    return head


def _head_module(tensors: Mapping[str, Tensor], base: Base, *, name: str, training: Mapping[str, Any] | None = None) -> Module:
    reference = BaseReference(base.name, base.fingerprint)
    fields: dict[str, Any] = {"kind": "head", "role": "head", "language": None, "config": {}, "training": training or {}}
    return Module.create(tensors, name=name, base=reference, **fields)


def _words(head: MlmHead, base: Base) -> Tensor:
    """The vectors of the word pieces [pieces, hidden] that predictions are compared with."""
    own: Tensor = base.encoder.get_input_embeddings().weight
    return own if head.decoder is None else head.decoder


def _blocks(texts: Sequence[Path], base: Base, *, length: int, **options: Any) -> TextBlocks:  # noqa: ANN401 - text_blocks's
    """Blocks of a length that the base can take."""
    if not SHORTEST <= length <= base.max_length:
        raise XlrankError(
            f"training: --length {length}; base {base.name!r} takes blocks of {SHORTEST} to {base.max_length} word pieces"
        )
    blocks = text_blocks(texts, base.tokenizer, length=length, **options)
    unknown = int((blocks.train == base.tokenizer.unk_token_id).sum())
    UnknownPieces(base, ", ".join(map(str, texts))).add(unknown, blocks.train.size - 2 * len(blocks.train))
    return blocks


def _support(base: Base, blocks: TextBlocks, negatives: int, seed: int) -> Tensor:
    """The word pieces of the softmax: those of the text, and others as far as there are any."""
    return torch.from_numpy(blocks.support(negatives, seed, int(base.config.vocab_size)))


def _record(
    data: LanguageData, licence: str, names: Sequence[str], objectives: Sequence[Objective], late: LateSettings
) -> dict[str, Any]:
    """What the module says of its data."""
    record: dict[str, Any] = {"data": _files(data.files()), "licence": licence, "objectives": list(names)}
    for objective in objectives:
        record |= objective.facts()
    if "align" in names:
        record |= {"pivot": language_code(data.pivot), "weights": dict(data.weights)}
    if {"align", "ict"} & set(names):
        record |= {"query_length": late.query_length, "document_length": late.document_length, "temperature": late.temperature}
    return record


def _files(paths: Sequence[Path]) -> list[dict[str, str]]:
    return [{"name": path.name, "sha256": file_hash(path)} for path in paths]
