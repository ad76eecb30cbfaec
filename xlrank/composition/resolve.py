"""From names in a composition to modules: shipped ids, folders, language codes, the sides' languages, and stand-ins."""

from collections.abc import Mapping
from pathlib import Path

from xlrank.composition.expression import Leaf, Resolver
from xlrank.errors import XlrankError
from xlrank.languages import ALIASES, LANGUAGES, language_code, nearest
from xlrank.modules import Module, shipped_modules

SHORT = {"rank": "ranking/en", "monobert": "ranking/monobert"}
LANGUAGE = "language/"
SIDES = ("query", "document")


def resolver(
    query_language: str | None = None, document_language: str | None = None, modules: Mapping[str, str | Path] | None = None
) -> Resolver:
    """A function from a leaf's name to a leaf with its module.

    ``query`` and ``document`` mean the languages given here. A language without a module gets its nearest relative's
    (see :func:`xlrank.languages.nearest`), printed as ``ug~ky``.

    Args:
        query_language: what ``query`` stands for.
        document_language: what ``document`` stands for.
        modules: folders or ids by the name they replace, e.g. ``{"ug": "my/ug"}``.
    """
    replaced = {ALIASES.get(name, name): path for name, path in (modules or {}).items()}
    sides = dict(zip(SIDES, (query_language, document_language), strict=True))

    def resolve(name: str) -> Leaf:
        if name in SIDES:
            language = sides[name]
            if language is None:
                raise XlrankError(
                    f"composition: {name!r} needs to know the {name}'s language; name the language instead, e.g. ky"
                )
            name = language
        if name in replaced:
            return Leaf(name, Module.load(replaced[name]))
        known = name in LANGUAGES or name in ALIASES
        if not known or _is_module(name):
            return Leaf(name, Module.load(SHORT.get(name, name)))
        return _language_leaf(language_code(name), replaced)

    return resolve


def _language_leaf(code: str, replaced: Mapping[str, str | Path]) -> Leaf:
    shipped = [name.removeprefix(LANGUAGE) for name in shipped_modules() if name.startswith(LANGUAGE)]
    available = {language: LANGUAGE + language for language in shipped} | {
        n: str(p) for n, p in replaced.items() if n in LANGUAGES
    }
    if code in available:
        return Leaf(code, Module.load(available[code]))
    relative = nearest(code, list(available))
    return Leaf(code, Module.load(available[relative]), stand_in=relative)


def _is_module(name: str) -> bool:
    return (Path(name) / "module.json").is_file()
