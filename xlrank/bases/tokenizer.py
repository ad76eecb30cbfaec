"""Tokenizers: the embedded encoder's SentencePiece one, and how any tokenizer frames a query-document pair."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MASK = "<mask>"


def normalizer_charsmap() -> bytes:
    """SentencePiece's compiled ``nmt_nfkc`` rules, the normaliser of XLM-R's vocabulary.

    SentencePiece writes them into every model it trains, so a throw-away tiny model yields them.
    """
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b"]),
        model_writer=model,
        vocab_size=8,
        minloglevel=2,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
    )
    return bytes(sentencepiece_model_pb2.ModelProto.FromString(model.getvalue()).normalizer_spec.precompiled_charsmap)


def unigram_tokenizer(pieces: list[tuple[str, float]], max_length: int) -> "PreTrainedTokenizerBase":
    """XLM-R's tokenizer from its unigram pieces (in model order: ``<s> <pad> </s> <unk>`` first) plus ``<mask>``."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    vocabulary = pieces if pieces[-1][0] == MASK else [*pieces, (MASK, 0.0)]
    tokenizer: Any = Tokenizer(Unigram(vocabulary, unk_id=3))
    # XLM-R's rules are older than SentencePiece's present ones: there a zero-width joiner was a space (it matters in Uyghur).
    joiner, spaces = normalizers.Replace("\u200d", " "), normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([joiner, normalizers.Precompiled(normalizer_charsmap()), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token=MASK,
        model_input_names=["input_ids", "attention_mask"],
    )


@dataclass(frozen=True)
class PairFrame:
    """The special tokens around a pair, ``first + query + middle + document + last``, and its token types."""

    first: tuple[int, ...]
    middle: tuple[int, ...]
    last: tuple[int, ...]
    types_differ: bool

    @property
    def length(self) -> int:
        """Number of special tokens in a pair."""
        return len(self.first) + len(self.middle) + len(self.last)


def pair_frame(tokenizer: "PreTrainedTokenizerBase") -> PairFrame:
    """Read off how ``tokenizer`` frames a pair, so that texts can be tokenised once and paired later."""
    encoding = tokenizer("a", "b", return_token_type_ids=True)
    ids: list[int] = list(encoding["input_ids"])
    owner = encoding.sequence_ids(0)
    query = [i for i, side in enumerate(owner) if side == 0]
    document = [i for i, side in enumerate(owner) if side == 1]
    types = encoding["token_type_ids"] if "token_type_ids" in tokenizer.model_input_names else [0]
    return PairFrame(
        first=tuple(ids[: query[0]]),
        middle=tuple(ids[query[-1] + 1 : document[0]]),
        last=tuple(ids[document[-1] + 1 :]),
        types_differ=any(types),
    )
