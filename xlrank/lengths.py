"""The length that a checkpoint itself cuts its inputs to, as transformers and sentence-transformers 2 to 6 write it down."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

SENTENCE_FILES = ("sentence_bert_config.json", "sentence_xlm-roberta_config.json")
"""Of sentence-transformers; the second name is that of its first version."""
TOKENIZER_FILE = "tokenizer_config.json"
LENGTH_FILES = (*SENTENCE_FILES, TOKENIZER_FILE)
"""Files that may state a length, the one that decides first."""
LARGEST = 1_000_000
"""Word pieces; transformers writes a far larger number where it knows no limit."""


def stated_length(read: Callable[[str], Mapping[str, Any] | None]) -> int | None:
    """Word pieces that a checkpoint's inputs are cut to, special tokens included; None if it states none.

    Args:
        read: the JSON object in one of :data:`LENGTH_FILES`, None where the checkpoint has no such file.
    """
    for name in LENGTH_FILES:
        for length in _lengths(read(name) or {}, of_tokenizer=name == TOKENIZER_FILE):
            if isinstance(length, int | float) and not isinstance(length, bool) and 1 <= length <= LARGEST:
                return int(length)
    return None


def _lengths(settings: Mapping[str, Any], *, of_tokenizer: bool) -> Iterator[object]:
    """What may be a length in a file, as the libraries look for it."""
    if of_tokenizer:
        yield settings.get("model_max_length", settings.get("max_len"))
        return
    for group in ("text", "common"):
        yield _inside(_inside(settings, "processing_kwargs"), group).get("max_length")
    for group in ("processor_kwargs", "tokenizer_args"):
        yield _inside(settings, group).get("model_max_length")
    yield settings.get("max_seq_length")


def _inside(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = settings.get(key)
    return found if isinstance(found, Mapping) else {}
