"""Translation by any sequence-to-sequence model of the Hugging Face Hub or a folder: M2M-100, NLLB, OPUS-MT and their like."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from xlrank.bases.base import quiet_transformers
from xlrank.bases.checks import check_vocabulary
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.files import content_key, file_record
from xlrank.languages import language_code
from xlrank.precision import Precision, resolve_precision, torch_dtype
from xlrank.progress import Progress, shown
from xlrank.reach import loading
from xlrank.retrieval.translation.codes import Codes, language_codes
from xlrank.retrieval.translation.store import TranslationStore
from xlrank.text import clean

BATCH_TOKENS = {"cpu": 512, "cuda": 8192}
"""Word pieces translated at a time, padding included; beams multiply what they take."""

LONGEST = 512
"""Word pieces of a text at most; sentences are shorter, and models were trained on no longer ones."""

SENTENCE_END = re.compile(r"(?<=[^\W\d_]{3}[.!?])\s+|(?<=[.!?][\"”»)])\s+|(?<=[؟۔。！？])\s*")
"""Where a sentence may end: not behind short words (Mr., St., U.S.)."""

STEP = 16
"""Word pieces by which texts of one batch differ at most."""

MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.spm", "*.model", "*.txt")


@dataclass(frozen=True)
class ModelTranslator:
    """A sequence-to-sequence model; title and description are translated on their own, sentence by sentence.

    Every text is kept as soon as it is translated (:class:`~xlrank.retrieval.translation.store.TranslationStore`); the model is
    loaded only if one is missing. Beam 5 over single sentences is how the paper translated, with M2M-100 418M.

    Attributes:
        model: a Hub name such as ``facebook/m2m100_418M`` or ``Helsinki-NLP/opus-mt-mul-en``, or a folder.
        revision: branch, tag or commit on the Hub.
        beams: of beam search.
        by_sentence: whether texts are cut into sentences first.
        precision: ``auto``, ``fp32``, ``bf16``.
    """

    model: str
    revision: str | None = None
    beams: int = 5
    by_sentence: bool = True
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check the settings, so that they do not fail after a model has been loaded."""
        if self.beams < 1:
            raise XlrankError(f"translation: beams is {self.beams}; expected at least 1")
        if self.precision == "int8":
            raise XlrankError("translation: models are not run in int8; expected the precision auto, fp32 or bf16")

    @cached_property
    def identity(self) -> Any:  # noqa: ANN401
        """Model, what its revision stands for, beams, and how texts are cut; for a folder, its files."""
        return {
            "kind": "model",
            "model": self.model,
            "revision": self._resolved,
            "beams": self.beams,
            "sentences": self.by_sentence,
        }

    def translate(self, topics: Sequence[Topic], source: str, target: str, progress: Progress | None = None) -> list[Topic]:
        """The topics in another language. An interrupted call goes on where it stopped.

        Raises:
            XlrankError: the model cannot be loaded, or does not know one of the languages.
        """
        source, target = language_code(source), language_code(target)
        if source == target:
            return list(topics)
        store = TranslationStore(self.identity, source, target)
        texts = list(dict.fromkeys(s for t in topics for field in (t.title, t.description) for s in self._sentences(field)))
        missing = [text for text in texts if text not in store]
        done = len(texts) - len(missing)
        if missing:
            codes = language_codes(self._tokenizer, self.model, source, target)
            for pairs in self._translated(missing, codes):
                store.add(pairs)
                done += len(pairs)
                if progress:
                    progress(done, len(texts))
        elif progress:
            progress(done, len(texts))

        def whole(field: str) -> str:
            return " ".join(filter(None, (store[sentence] for sentence in self._sentences(field))))

        return [Topic(topic.id, whole(topic.title), whole(topic.description)) for topic in topics]

    def _sentences(self, field: str) -> list[str]:
        text = " ".join(clean(field).split())
        return sentences(text) if self.by_sentence else [text] if text else []

    def _translated(self, texts: Sequence[str], codes: Codes) -> Iterator[list[tuple[str, str]]]:
        """Texts with their translations, a batch at a time, long texts first: memory that suffices once suffices always."""
        import torch

        tokenizer = self._tokenizer
        if codes.source is not None:
            tokenizer.src_lang = codes.source
        asked = [codes.prefix + text for text in texts]
        limit = min(LONGEST, int(getattr(self._network.config, "max_position_embeddings", LONGEST)))
        encoded: list[list[int]] = tokenizer(asked, truncation=True, max_length=limit, verbose=False)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        device = self._network.device
        start = 0
        while start < len(order):
            size = _size(encoded[order[start]])
            rows = order[start : start + max(1, BATCH_TOKENS[device.type] // size)]
            rows = [i for i in rows if _size(encoded[i]) == size]  # the limit of a text is its own, whatever its company
            batch = tokenizer.pad({"input_ids": [encoded[i] for i in rows]}, return_tensors="pt").to(device)
            with torch.inference_mode():
                made = self._network.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    num_beams=self.beams,
                    do_sample=False,
                    max_new_tokens=min(limit - 1, 2 * size),  # a model that repeats itself would never stop
                    **({} if codes.first is None else {"forced_bos_token_id": codes.first}),
                )
            found = tokenizer.batch_decode(made, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            yield [(texts[i], translation) for i, translation in zip(rows, found, strict=True)]
            start += len(rows)

    @cached_property
    def _resolved(self) -> str | None:
        """What decides the weights: the commit of a Hub model, a hash over a folder's files."""
        folder = Path(self.model)
        if folder.is_dir():
            files = sorted(path for pattern in MODEL_FILES for path in folder.glob(pattern))
            return content_key([file_record(path) for path in files])
        config = self._loaded("AutoConfig")
        return str(getattr(config, "_commit_hash", None) or self.revision or "main")

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - transformers' own types
        tokenizer = self._loaded("AutoTokenizer")
        check_vocabulary(tokenizer, f"translation model {self.model!r}", "the files of its tokenizer")
        return tokenizer

    @cached_property
    def _network(self) -> Any:  # noqa: ANN401
        import torch

        dtype = torch_dtype(resolve_precision(self.precision))
        network = self._loaded("AutoModelForSeq2SeqLM", dtype=dtype).eval()
        return network.to("cuda" if torch.cuda.is_available() else "cpu")

    def _loaded(self, loader: str, **options: Any) -> Any:  # noqa: ANN401
        """What a ``from_pretrained`` of transformers gives, its many errors turned into one line."""
        import warnings

        import transformers

        try:
            with (
                loading(f"translation model {self.model!r}", self.model) as more,
                shown(f"loading translation model {self.model}"),
                quiet_transformers(),
                warnings.catch_warnings(),
            ):
                warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
                made = getattr(transformers, loader)
                return made.from_pretrained(self.model, revision=self.revision, trust_remote_code=False, **options, **more)
        except UnpicklingError:
            raise XlrankError(
                f"translation model {self.model!r}: its .bin file holds code or is damaged; it was not loaded"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AssertionError) as error:
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise XlrankError(
                f"translation model {self.model!r} cannot be loaded: {first} (give the Hub name or the folder of a "
                "sequence-to-sequence model, such as facebook/m2m100_418M)"
            ) from None


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space between them; none begins with a small letter."""
    found: list[str] = []
    for part in filter(None, SENTENCE_END.split(text)):
        first = next((letter for letter in part if letter.isalpha()), "")
        if found and first.islower():
            found[-1] += f" {part}"
        else:
            found.append(part)
    return found


def _size(pieces: Sequence[int]) -> int:
    """A number of word pieces, rounded up to the step in which batches are put together."""
    return -(-len(pieces) // STEP) * STEP
