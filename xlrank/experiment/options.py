"""An experiment from a command line's options: one collection, one document language, systems by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.experiment.model import Experiment
from xlrank.experiment.reading import message
from xlrank.experiment.systems import (
    CROSS_ENCODERS,
    DEFAULT_CROSS_DEPTH,
    DEFAULT_SYSTEMS,
    split_systems,
    system_named,
)
from xlrank.languages import language_code


def experiment_of(
    *,
    collection: str = "mini",
    languages: Sequence[str] = (),
    documents: str = "en",
    systems: str | Sequence[str] = (),
    modules: Mapping[str, str] | None = None,
    **settings: Any,  # noqa: ANN401 - fields of an experiment
) -> Experiment:
    """An experiment on one collection.

    Args:
        collection: its id.
        languages: query languages; empty: all that it has topics in.
        documents: document language.
        systems: names or expressions, as a list or joined by commas; empty: those of ``make eval``, without translated
            queries where the collection has no translations, and without structured ones where nothing needs translating; the
            cross-encoders then re-order no more than the first twenty candidates.
        modules: folders or ids by the name they stand for.
        settings: further fields of an :class:`~xlrank.experiment.model.Experiment`.

    Raises:
        XlrankError: a value is none that the field can have.
    """
    source, code = Collection(collection), language_code(documents)
    codes = [language_code(language) for language in languages] or source.query_languages
    named = split_systems(systems) if isinstance(systems, str) else list(systems)
    name = "".join(c if c.isalnum() else "-" for c in collection).strip("-")
    try:
        distinct = _distinct(named) if named else _defaults(source, codes, code, settings.get("depth"))
    except ValueError as error:
        raise XlrankError(str(error)) from None
    values = {
        "name": f"{name}-{code}",
        "collections": [{"id": collection, "pairs": [f"{query}-{code}" for query in dict.fromkeys(codes)]}],
        "systems": distinct,
        "modules": dict(modules or {}),
        **settings,
    }
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        text = message(first)
        raise XlrankError(f"{place}: {text}" if place != "systems" else text) from None


def _distinct(names: Sequence[str]) -> list[dict[str, Any]]:
    """Systems that may have been given twice, each once."""
    found = [system_named(name) for name in names]
    return list({system["name"]: system for system in found}.values())


def _defaults(source: Collection, codes: Sequence[str], document: str, depth: int | None) -> list[dict[str, Any]]:
    translated = all(code == document or source.translations(code, document) is not None for code in codes)
    foreign = any(code != document for code in codes)
    left_out = {*(() if translated else ("bm25",)), *(() if foreign else ("psq", "fusion", "feedback", "best"))}
    found = _distinct([name for name in DEFAULT_SYSTEMS if name not in left_out])
    cut = depth is None or depth > DEFAULT_CROSS_DEPTH
    return [system | ({"depth": DEFAULT_CROSS_DEPTH} if cut and system["name"] in CROSS_ENCODERS else {}) for system in found]
