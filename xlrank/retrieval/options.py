"""Options of first-stage expressions: which there are, and their values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xlrank.errors import XlrankError
from xlrank.retrieval.expression import Call


def check_options(call: Call, known: Sequence[str], arguments: int | None = None) -> None:
    """Refuse options that a method does not have, and another number of arguments than it takes.

    Raises:
        XlrankError: there is such an option or argument.
    """
    for name in call.options:
        if name not in known:
            expected = ", ".join(known) or "none"
            raise XlrankError(f"first stage {str(call)!r}: unknown option {name!r} of {call.name}; expected {expected}")
    if arguments is not None and len(call.arguments) != arguments:
        wanted = f"{arguments} argument{'' if arguments == 1 else 's'}"
        raise XlrankError(f"first stage {str(call)!r}: {call.name} takes {wanted}, got {len(call.arguments)}")


def number(call: Call, name: str, kind: type[int] | type[float] = float) -> float | int:
    """The value of an option as a finite number.

    Raises:
        XlrankError: it is none.
    """
    try:
        value = kind(call.options[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = "a whole number" if kind is int else "a number"
        raise XlrankError(f"first stage {str(call)!r}: {name}={call.options[name]}: expected {what}")
    return value


def numbers(call: Call, kinds: Mapping[str, type[int] | type[float]]) -> dict[str, Any]:
    """Those of the options that are given, as numbers.

    Raises:
        XlrankError: one is none.
    """
    return {name: number(call, name, kind) for name, kind in kinds.items() if name in call.options}


def yes(call: Call, name: str) -> bool:
    """Whether an option is switched on; off by default.

    Raises:
        XlrankError: its value is neither yes nor no.
    """
    value = call.options.get(name, "no")
    if value not in ("yes", "no"):
        raise XlrankError(f"first stage {str(call)!r}: {name}={value}: expected yes or no")
    return value == "yes"
