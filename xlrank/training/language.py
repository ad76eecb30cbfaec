"""Language modules, trained by masked language modelling, and the prediction head they share.

Adapters: MAD-X (Pfeiffer et al. 2020), with an invertible adapter whose inverse precedes the prediction head; masks: LT-SFT
(Ansell et al. 2022); LoRA. Settings of the paper, section 3.1: reduction factor 2, 15 % masking. A base without a published head
(the embedded encoder) gets one trained once, everything else frozen, tied to the word embeddings. The softmax may be restricted
to the word pieces of the language's text: exact there, and several times cheaper than one over 250,000 pieces.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, file_hash
from xlrank.modules import BaseReference, Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Invertible
from xlrank.modules.kinds.head.layers import MlmHead
from xlrank.training.learning import learn
from xlrank.training.loop import Learner, Settings, train
from xlrank.training.lottery import Fit
from xlrank.training.recipes import Recipe, start
from xlrank.training.text import TextBlocks, text_blocks

IGNORED = -100
HEAD_ID = "head/mlm"


class MaskedLanguageModel(Learner):
    """Composed encoder and prediction head with a softmax over ``support``, the sorted word pieces of the text."""

    words: Tensor
    support: Tensor

    def __init__(
        self, encoder: ComposedEncoder, head: MlmHead, invertible: Invertible | None, words: Tensor, support: Tensor
    ) -> None:
        super().__init__()
        self.composed, self.head, self.invertible = encoder, head, invertible
        self.register_buffer("words", words[support], persistent=False)
        self.register_buffer("support", support, persistent=False)

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Loss over the masked tokens; both arguments [rows, tokens], labels -100 where nothing is predicted."""
        zeros = torch.zeros_like(input_ids)
        states = self.composed(input_ids, torch.ones_like(input_ids), zeros, zeros)
        picked = labels != IGNORED
        vectors = self.head.transform(states[picked])
        if self.invertible is not None:
            vectors = self.invertible.inverse(vectors)
        logits = nn.functional.linear(vectors, self.words, self.head.bias[self.support])
        targets = torch.searchsorted(self.support, labels[picked])
        return {"loss": nn.functional.cross_entropy(logits.float(), targets)}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Word pieces seen."""
        return {"tokens": batch["input_ids"].numel()}


class Masking:
    """Collator: 15 % of the tokens are predicted, of these 80 % masked, 10 % replaced, 10 % kept (BERT)."""

    def __init__(self, base: Base, share: float = 0.15) -> None:
        tokenizer: Any = base.tokenizer
        self.share, self.mask, self.vocabulary = share, int(tokenizer.mask_token_id), len(tokenizer)
        self.special = torch.tensor(tokenizer.all_special_ids)

    def __call__(self, rows: list[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """A batch of blocks (ids [tokens],), masked afresh, or of blocks that come with labels, taken as they are."""
        if len(rows[0]) > 1:
            return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(("input_ids", "labels"))}
        ids = torch.stack([row[0] for row in rows]).long()
        # Drawn from the batch's content, not from the global random state: a resumed run masks as an uninterrupted one.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(ids.numpy().tobytes()))
            return self.mask_ids(ids)

    def mask_ids(self, ids: Tensor) -> dict[str, Tensor]:
        """Mask ids [rows, tokens] with torch's random state."""
        chosen = (torch.rand(ids.shape) < self.share) & ~torch.isin(ids, self.special)
        labels = torch.where(chosen, ids, IGNORED)
        fate = torch.rand(ids.shape)
        ids = torch.where(chosen & (fate < 0.8), self.mask, ids)
        swap = chosen & (fate >= 0.9)
        return {"input_ids": torch.where(swap, torch.randint(self.vocabulary, ids.shape), ids), "labels": labels}


def train_language(
    language: str,
    texts: Sequence[Path],
    *,
    base: Base,
    settings: Settings,
    recipe: Recipe | None = None,
    head: Module | None = None,
    length: int = 128,
    max_tokens: int = 5_000_000,
    full_softmax: bool = False,
    negatives: int = 0,
    licence: str = "see sources",
    work: Path | None = None,
) -> Module:
    """Train a language module by masked language modelling; all but what its recipe lets learn stays frozen.

    Args:
        language: ISO 639-1 code of the text.
        texts: UTF-8 files, one sentence or paragraph a line.
        base: the encoder.
        settings: budget and optimiser.
        recipe: adapter, mask or LoRA with its settings; by default an adapter, reduction factor 2, invertible.
        head: the base's prediction head, as made by :func:`train_mlm_head` (default: the shipped one of the embedded base).
        length: word pieces a block.
        max_tokens: word pieces of text used at most.
        full_softmax: predict over the whole vocabulary instead of the text's word pieces.
        negatives: further word pieces that the restricted softmax is over.
        licence: of the text, recorded.
        work: folder for checkpoints.
    """
    recipe = recipe or AdapterConfig(reduction_factor=2, invertible=True)
    torch.manual_seed(settings.seed)
    blocks = text_blocks(texts, base.tokenizer, length=length, max_tokens=max_tokens, seed=settings.seed, language=language)
    trainee = start(recipe, base)
    support = _support(base, blocks, 10**9 if full_softmax else negatives, settings.seed)
    prediction = load_mlm_head(head or Module.load(HEAD_ID), base).requires_grad_(requires_grad=False)
    words = base.encoder.get_input_embeddings().weight
    model = MaskedLanguageModel(trainee.encoder, prediction, trainee.invertible, words, support)
    hashes = [file_hash(path) for path in texts]
    what = [type(recipe).__name__, asdict(recipe), repr(settings), length, max_tokens, full_softmax, negatives]
    key = content_key("language", language, hashes, base.fingerprint, *what)
    folder = work or cache_folder() / "training" / key
    learnt = learn(recipe, trainee, model, base, _fitting(base, blocks, key), settings, folder)
    sources = _sources(texts, licence, blocks)
    name = f"language/{language}"
    return learnt.module(base, name=name, role="language", language=language, training=sources)


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
    each = [
        text_blocks([path], base.tokenizer, length=length, max_tokens=max_tokens // len(texts), seed=settings.seed)
        for path in texts
    ]
    blocks = TextBlocks.joined(each)
    head = MlmHead(int(base.config.hidden_size), int(base.config.vocab_size), float(base.config.layer_norm_eps))
    words, support = base.encoder.get_input_embeddings().weight, _support(base, blocks, 0, settings.seed)
    _start_from_frequencies(head, blocks)
    model = MaskedLanguageModel(ComposedEncoder(base), head, None, words, support)
    key = content_key("head", [file_hash(path) for path in texts], base.fingerprint, repr(settings), length, max_tokens)
    record = _fitting(base, blocks, key)(model, settings, work or cache_folder() / "training" / key)
    record |= _sources(texts, licence, blocks)
    reference = BaseReference(base.name, base.fingerprint)
    return Module.create(
        head.state_dict(), name=HEAD_ID, kind="head", role="head", language=None, base=reference, config={}, training=record
    )


def _start_from_frequencies(head: MlmHead, blocks: TextBlocks) -> None:
    """Set the bias to the word pieces' log frequencies, which training would otherwise spend its first hundreds of steps on."""
    counts = torch.bincount(torch.from_numpy(blocks.train.ravel()).long(), minlength=len(head.bias)).float()
    head.bias.data.copy_((counts + 0.5).log() - (counts + 0.5).sum().log())


def load_mlm_head(module: Module, base: Base) -> MlmHead:
    """The prediction head that a module of role ``head`` holds."""
    module.check_base(base)
    head = MlmHead(int(base.config.hidden_size), int(base.config.vocab_size), float(base.config.layer_norm_eps))
    if {name: t.shape for name, t in module.tensors.items()} != {name: t.shape for name, t in head.state_dict().items()}:
        raise XlrankError(f"module {module.name!r} is no prediction head for base {base.name!r}")
    head.load_state_dict(dict(module.tensors))
    return head


def _support(base: Base, blocks: TextBlocks, negatives: int, seed: int) -> Tensor:
    """The word pieces of the softmax: those of the text, and others as far as there are any."""
    return torch.from_numpy(blocks.support(negatives, seed, int(base.config.vocab_size)))


def _fitting(base: Base, blocks: TextBlocks, key: str) -> Fit:
    """Training on blocks, as a function of what learns."""
    masking = Masking(base)
    # The held-out blocks are masked once, so that losses of different steps and modules compare.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        masked = masking.mask_ids(torch.from_numpy(blocks.heldout).long())
    heldout = TensorDataset(masked["input_ids"], masked["labels"])

    def fit(learner: Learner, settings: Settings, work: Path) -> dict[str, Any]:
        fits = replace(settings, batch=min(settings.batch, len(blocks.train)))
        return train(learner, TensorDataset(torch.from_numpy(blocks.train)), heldout, masking, fits, work, key=key)

    return fit


def _sources(texts: Sequence[Path], licence: str, blocks: TextBlocks) -> dict[str, Any]:
    files = [{"name": path.name, "sha256": file_hash(path)} for path in texts]
    return {"data": files, "licence": licence, "tokens": int(blocks.train.size), "text": asdict(blocks.facts)}
