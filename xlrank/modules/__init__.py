"""Modules: what was learned, for which base, and how it changes the encoder. One file a kind holds its maths."""

from xlrank.modules.module import BaseReference, Interaction, Module, shipped_modules

__all__ = ["BaseReference", "Interaction", "Module", "shipped_modules"]
