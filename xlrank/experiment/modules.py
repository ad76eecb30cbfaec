"""The modules that an experiment names: environment variables filled in, and one template spelled out for all languages."""

import os
import re
from collections.abc import Mapping

from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.modules import shipped_modules

ANY_LANGUAGE = "language"
VARIABLE = re.compile(r"\$\{(\w+)\}")


def filled(modules: Mapping[str, str], languages: set[str]) -> dict[str, str]:
    """Modules by name, with environment variables filled in, and the one of ``language`` for each language.

    Raises:
        XlrankError: an environment variable is not set.
    """
    found = {name: _environment(name, value) for name, value in modules.items()}
    template = found.pop(ANY_LANGUAGE, None)
    if template is not None:
        if "{language}" not in template:
            raise XlrankError(
                f"modules: language: {template!r} has no {{language}} in it, so all languages would share one module"
            )
        named = {code: template.replace("{language}", code) for code in sorted(LANGUAGES)}
        shipped = set(shipped_modules())
        if shipped.isdisjoint(named.values()):
            named = {code: name for code, name in named.items() if code in languages}
        else:  # a family that comes with the package: relatives in it stand in for the languages that it lacks
            named = {code: name for code, name in named.items() if name in shipped}
        found = named | found
    return found


def _environment(name: str, value: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise XlrankError(
                f"modules: {name}: the environment variable {match[1]} is not set; it names the folder of {value!r}"
            )
        return os.environ[match[1]]

    return VARIABLE.sub(one, value)
