"""CLEF ad hoc 2000-2003: newspapers in six languages, topics in more, judged by people (ELRA-E0008)."""

from xlrank.collections.clef.source import ClefSource

__all__ = ["ClefSource"]
