"""Proof that a module is what it says: whole, finite, and made for its base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.kinds import kind_named
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from xlrank.bases import Base


def verify(module: Module, base: Base | None = None) -> list[str]:
    """Check a module's files and, where its base is at hand, everything that composing it would need.

    Args:
        module: what to check.
        base: the base to hold it against; by default its own, if that is embedded or a folder. Nothing is downloaded.

    Returns:
        What was checked, a line each.

    Raises:
        XlrankError: the first thing that is wrong.
    """
    values = sum(tensor.numel() for tensor in module.tensors.values())
    facts = [f"{len(module.tensors)} tensors with {values:,} values: the checksum is right, all values are finite"]
    base = base or _own_base(module)
    if base is None:
        return [*facts, f"base {module.base.name!r} is not at hand, so names and shapes were not checked; name it to do so"]
    module.check_base(base)
    facts.append(f"made for base {base.name!r} (fingerprint {base.fingerprint})")
    try:
        return facts + _fits(module, base)
    except XlrankError as error:  # what complains of settings alone does not know whose they are
        raise error if module.name in str(error) else XlrankError(f"module {module.name!r}: {error}") from None
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise XlrankError(
            f"module {module.name!r}: is no {module.kind} module as xlrank writes it ({first[:160]}); restore or convert it"
        ) from None


def _own_base(module: Module) -> Base | None:
    from xlrank.bases import EMBEDDED, Base

    known = module.base.name == EMBEDDED or (Path(module.base.name) / "config.json").is_file()
    return Base(module.base.name) if known else None


def _fits(module: Module, base: Base) -> list[str]:
    from xlrank.modules.kinds.head.layers import build_ranking_head
    from xlrank.modules.weights import edits_of

    hidden, layers = int(base.config.hidden_size), int(base.config.num_hidden_layers)
    kind, facts = kind_named(module.kind), []
    if kind.place == "layers":
        kind.build(module, (hidden, layers))
        facts.append(f"names and shapes fit {layers} layers of hidden size {hidden}")
    elif kind.place == "weights":
        changed = edits_of([module], base)
        facts.append(f"changes {len(changed)} of the base's {len(dict(base.encoder.named_parameters()))} parameters")
    if any(name.startswith("head.") for name in module.tensors):
        head = build_ranking_head(module, hidden)
        facts.append(f"its relevance head fits: {head.out.out_features} output(s), {head.pooling} pooling")
    elif module.kind == "head":
        _check_prediction_head(module, base)
        facts.append(f"its prediction head fits: {base.config.vocab_size:,} word pieces")
    return facts


def _check_prediction_head(module: Module, base: Base) -> None:
    import torch

    from xlrank.modules.kinds.head.layers import MlmHead

    with torch.device("meta"):
        head = MlmHead.fresh(base)
    expected = {name: list(tensor.shape) for name, tensor in head.state_dict().items()}
    found = {name: list(tensor.shape) for name, tensor in module.tensors.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise XlrankError(
            f"module {module.name!r}: {wrong[0]} of its prediction head is {found.get(wrong[0], 'missing')}, "
            f"expected {expected.get(wrong[0], 'no such tensor')} for base {base.name!r}"
        )
