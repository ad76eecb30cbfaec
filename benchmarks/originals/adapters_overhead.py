"""What adapters cost in the library they come from: an encoder's forward pass without, with a stack, and with a split of them.

Run by the originals' Python: ``adapters_overhead.py FOLDER THREADS ROWS TOKENS [QUERY_TOKENS [ROUNDS]]``, with a BERT encoder in
FOLDER. Prints one line of JSON: every round's seconds by name. The rounds are interleaved, so that another load on the machine
slows all three alike.
"""

import json
import sys
import time

import adapters  # type: ignore[import-not-found]
import torch
import transformers
from adapters.composition import Split, Stack  # type: ignore[import-not-found]

MEMBERS = {"query": ("seq_bn_inv", 2), "document": ("seq_bn_inv", 2), "rank": ("seq_bn", 16)}
"""Adapters by name: the configuration and the reduction factor."""


def main(folder: str, threads: int, rows: int, tokens: int, query_tokens: int = 24, rounds: int = 11) -> None:
    """Time all three, after one pass of each that does not count."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    plain, adapted = (transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval() for _ in range(2))
    adapters.init(adapted)
    for name, (config, factor) in MEMBERS.items():
        adapted.add_adapter(name, config=adapters.AdapterConfig.load(config, reduction_factor=factor))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if any(f".{member}." in name for member in MEMBERS):
                parameter.normal_(0, 0.02)
    setups = {
        "plain": None,
        "stack": Stack("query", "rank"),
        "split": Stack(Split("query", "document", splits=[query_tokens, tokens - query_tokens]), "rank"),
    }
    ids = torch.randint(5, plain.config.vocab_size, (rows, tokens))
    seconds: dict[str, list[float]] = {name: [] for name in setups}
    for counts in [False] + [True] * rounds:
        for name, setup in setups.items():
            model = plain if setup is None else adapted
            if setup is not None:
                adapted.set_active_adapters(setup)
            with torch.inference_mode():
                start = time.perf_counter()
                model(input_ids=ids, attention_mask=torch.ones_like(ids))
                if counts:
                    seconds[name].append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
