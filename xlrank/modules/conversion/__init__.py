"""Modules from one format to another, one by one or a whole release, out of folders and archives."""

from xlrank.modules.conversion.convert import Conversion, convert

__all__ = ["Conversion", "convert"]
