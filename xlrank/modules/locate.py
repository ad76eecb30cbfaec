"""From a module's id to the folder with its files: a local folder, a module shipped with the package, or a Hub repository.

A Hub repository is written ``hub:ORG/NAME[/FOLDER][@REVISION][#sha256=HEX]``. Without the prefix nothing is ever looked up on
the network, so that a slip in a shipped module's name ends in an error and not in a stranger's repository.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.modules.formats.layout import CARD, FORMATS, check_names, detect_names

HUB = "hub:"
MAIN = "main"
SYNTAX = "hub:ORG/NAME, then possibly /FOLDER, @REVISION and #sha256=HEX"
_WORD = r"\w(?:[\w.-]*\w)?"
_HUB_ID = re.compile(
    rf"hub:(?P<repository>{_WORD}/{_WORD})(?:/(?P<folder>[\w./-]*\w))?(?:@(?P<revision>\w(?:[\w./-]*\w)?))?"
    r"(?:#sha256=(?P<sha256>[0-9a-fA-F]{64}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class HubId:
    """A module in a repository of the Hugging Face Hub.

    Attributes:
        repository: ``ORG/NAME``.
        folder: where in the repository the module lies; empty for its root.
        revision: branch, tag or commit.
        sha256: what the weights file must hash to, 64 hexadecimal digits in lower case, or None.
    """

    repository: str
    folder: str = ""
    revision: str = MAIN
    sha256: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubId":
        """The parts of an id.

        Raises:
            XlrankError: it is not written as it should be.
        """
        match = _HUB_ID.fullmatch(text)
        # Two dots or an empty part could lead out of the cache; two hyphens are what its folders are named with.
        if match is None or ".." in text or "//" in text or "/./" in text or "--" in match["repository"]:
            raise XlrankError(f"module {text[:200]!r}: not the id of a module on the Hub; expected {SYNTAX}")
        sha256 = match["sha256"]
        return cls(match["repository"], match["folder"] or "", match["revision"] or MAIN, sha256.lower() if sha256 else None)

    def __str__(self) -> str:
        folder = f"/{self.folder}" if self.folder else ""
        revision = f"@{self.revision}" if self.revision != MAIN else ""
        return f"{HUB}{self.repository}{folder}{revision}"

    def inside(self, name: str) -> str:
        """The path of the module's file ``name`` in the repository."""
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class Place:
    """Where a module's files lie.

    Attributes:
        folder: the folder on this machine.
        format: ``xlrank``, or the format of another library (one of :data:`xlrank.modules.formats.FORMATS`).
        sha256: what the weights file must hash to, if that was asked for.
        origin: for modules of the Hub: repository, folder in it, revision asked for, and the commit that it meant.
    """

    folder: Path
    format: str
    sha256: str | None = None
    origin: Mapping[str, str] = field(default_factory=dict)


def locate(id: str, format: str | None = None) -> Place:
    """Find a module, downloading it if it is on the Hub and not in the cache.

    Args:
        id: a folder, the name of a shipped module, or a :class:`HubId` as text.
        format: of the files, where their names would suggest another one.

    Raises:
        XlrankError: there is no such module, it cannot be downloaded, or its folder is ambiguous.
    """
    if format is not None and format not in FORMATS:
        raise XlrankError(f"unknown module format {format!r}; expected one of {', '.join(FORMATS)}")
    if id.startswith(HUB):
        return _on_hub(HubId.parse(id), format)
    for folder in (Path(id), data_folder() / "modules" / id):
        names = _names(folder)
        found = format if names and format else detect_names(names)
        if found:
            return Place(folder, found)
    known = ", ".join(shipped_modules()) or "none"
    raise XlrankError(
        f"module {id!r}: no such folder with {CARD}, and not among the shipped ones ({known}); "
        f"a repository of the Hub is written {HUB}ORG/NAME"
    )


def shipped_modules() -> list[str]:
    """Ids of the modules shipped with the package, sorted."""
    root = data_folder() / "modules"
    return sorted(str(card.parent.relative_to(root)) for card in root.rglob(CARD))


def _on_hub(id: HubId, format: str | None) -> Place:
    from xlrank.modules.hub import fetch

    folder, commit = fetch(id, format)
    found = format or detect_names(_names(folder))
    if not found:
        raise XlrankError(f"{id}: what the cache holds of it is no module; remove it from the cache and load it again")
    origin = {"repository": id.repository, "folder": id.folder, "revision": id.revision, "commit": commit}
    return Place(folder, found, id.sha256, {key: value for key, value in origin.items() if value})


def _names(folder: Path) -> list[str]:
    """The names in a folder; none if there is no such folder."""
    try:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        raise XlrankError(f"module {str(folder)[:200]!r}: cannot be read ({error.strerror})") from None
    check_names(names, str(folder))
    return names
