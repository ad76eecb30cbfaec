"""The objects on the lines of HC4's files."""

import json
from typing import Any

from xlrank.errors import XlrankError


def json_object(line: str, place: str, expected: str) -> dict[str, Any]:
    """The object on a line of JSON.

    Raises:
        XlrankError: the line is no object of JSON; ``expected`` says what should have been there.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number too large, or nested too deeply"
        raise XlrankError(f"{place}: not JSON ({reason}), or cut short; expected {expected}") from None
    if not isinstance(fields, dict):
        raise XlrankError(f"{place}: expected {expected}")
    return fields
