"""Options at the end of a collection's id, as in a web address: ``hc4/fa/test?translation=SYSTEM``."""

from collections.abc import Collection
from urllib.parse import parse_qsl

from xlrank.errors import XlrankError


def split_options(id: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """An id without its options, and these by name.

    In a shell an id with options stands in quotes, as ``?`` and ``&`` mean something there.

    Args:
        id: of a collection, such as ``irds:ID?queries=ky&documents=en``.
        known: names of the options that the collection has.

    Raises:
        XlrankError: an option has another form or name, or stands twice.
    """
    name, mark, text = id.partition("?")
    if not mark:
        return name, {}
    wanted = f"expected {' or '.join(f'{option}=VALUE' for option in known)} after the question mark"
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise XlrankError(f"collection {id!r}: {text!r} is no option; {wanted}") from None
    options = dict(pairs)
    for option, value in pairs:
        if option not in known or not value:
            raise XlrankError(f"collection {id!r}: unknown or empty option {option!r}; {wanted}")
    if len(options) < len(pairs):
        raise XlrankError(f"collection {id!r}: an option stands twice; {wanted}")
    return name, options
