"""What members of an archive may be called and how large they may be, whatever format they come in."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xlrank.errors import XlrankError

MAX_NAME = 255
"""Bytes in one part of a path."""


@dataclass(frozen=True)
class Limits:
    """What an archive may ask for.

    Attributes:
        members: files and folders.
        bytes: in all, unpacked.
        ratio: unpacked bytes for each byte of the archive; weights hardly shrink.
        small: bytes that may be unpacked at any ratio.
        depth: folders inside each other.
    """

    members: int = 20_000
    bytes: int = 32 << 30
    ratio: int = 100
    small: int = 64 << 20
    depth: int = 16


LIMITS = Limits()


class Guard:
    """Admits members one by one, and counts what they declare and what they turn out to be.

    Args:
        archive: the file, for its size and for messages.
        limits: what it may ask for.
    """

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive, self.limits = archive, limits
        self.size = archive.stat().st_size
        self.allowed = min(limits.bytes, max(limits.small, limits.ratio * self.size))
        self.count = self.declared = self.unpacked = 0
        self.known: dict[str, tuple[str, bool]] = {}

    def admit(self, name: str, size: int, is_folder: bool) -> PurePosixPath | None:
        """The safe path of a member; None for the archive's root.

        Raises:
            XlrankError: the name leads elsewhere or is taken, or the archive holds too much.
        """
        self.count += 1
        self.declared += size
        if self.count > self.limits.members:
            raise self.error(f"holds more than {self.limits.members:,} members; expected modules alone: pack them by themselves")
        if size < 0 or self.declared > self.allowed:
            raise self.too_large(self.declared, name)
        parts = self._parts(name)
        for end in range(1, len(parts) + 1):
            self._register("/".join(parts[:end]), is_folder or end < len(parts))
        return PurePosixPath(*parts) if parts else None

    def add(self, count: int) -> None:
        """Take note of bytes that were really unpacked.

        Raises:
            XlrankError: they are too many.
        """
        self.unpacked += count
        if self.unpacked > self.allowed:
            raise self.too_large(self.unpacked)

    def too_large(self, total: int, name: str | None = None) -> XlrankError:
        """What an archive that would fill the disk is refused with."""
        member = f" with member {name[:80]!r}" if name else ""
        return self.error(
            f"unpacks to {total:,} bytes or more{member} from {self.size:,}, expected at most {self.allowed:,} "
            "(a compression bomb?); get a copy that you trust"
        )

    def _parts(self, name: str) -> list[str]:
        trimmed = name.rstrip("/")
        parts = trimmed.split("/")
        parts = parts[1:] if parts[0] == "." else parts
        bad = (
            name.startswith("/")
            or "\\" in name
            or re.match(r"[A-Za-z]:", name)
            or not trimmed.isprintable()
            or any(part in ("", ".", "..") or len(part.encode()) > MAX_NAME for part in parts)
        )
        if bad:
            raise self.error(f"member {name[:80]!r} has no plain relative path; expected names inside the archive: pack it again")
        if len(parts) > self.limits.depth:
            raise self.error(f"member {name[:80]!r} lies in more than {self.limits.depth} folders; pack the modules alone")
        return parts

    def _register(self, path: str, is_folder: bool) -> None:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
        if folded not in self.known:
            self.known[folded] = path, is_folder
            return
        other, was_folder = self.known[folded]
        if other != path:
            raise self.error(f"members {other[:80]!r} and {path[:80]!r} differ in case or Unicode form only; rename one of them")
        if was_folder != is_folder:
            raise self.error(f"member {path[:80]!r} is both a file and a folder; pack it again")
        if not is_folder:
            raise self.error(f"holds member {path[:80]!r} twice; pack it again")

    def error(self, problem: str) -> XlrankError:
        """An error that names the archive."""
        return XlrankError(f"{self.archive}: {problem}")
