"""Kinds of modules, one folder each: ``kind.py`` says what it can do, the other files hold its settings and maths.

A new kind is a folder whose ``kind.py`` holds a :class:`~xlrank.modules.kinds.kind.Kind` called ``KIND``, and a line in
:data:`HOMES`.
"""

from importlib import import_module

from xlrank.modules.kinds.kind import Kind, Sizes

HOMES = {name: f"{__name__}.{name}.kind" for name in ("adapter", "mask", "lora", "full", "head")}
"""Where each kind lives. Imported when first asked for, so that naming a kind needs no torch."""

__all__ = ["HOMES", "Kind", "Sizes", "kind_named"]


def kind_named(name: str) -> Kind:
    """The kind of a name among :data:`HOMES`."""
    kind: Kind = import_module(HOMES[name]).KIND
    return kind
