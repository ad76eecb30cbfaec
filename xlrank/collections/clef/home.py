"""Where the files of CLEF lie, found whatever the case of their names, in one folder that ``CLEF_HOME`` names.

- ``DocumentData/{dutch,english,finnish,german,italian,russian}/``: newspapers, a folder each (see ``layouts``);
- ``Topics/{topics2000,2001,2002,2003}/``: ``TOP-E.txt``, ``Top-en03.txt``, …;
- ``RelAssess/{2000,2001,2002,2003}/``: ``qrels_english`` or ``qrels_EN``, …;
- ``clef-low-resource/long_paper/``: ``clef-en-2000-2003_KYRGYZ.txt``, …;
- ``translations/``: ``ky-en.tsv``, …, our own (see ``ClefSource``).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from xlrank.collections.clef.layouts import LOW_RESOURCE, TOPIC_FILES, Layout
from xlrank.collections.places import collections_folder
from xlrank.languages import LANGUAGES

DOCUMENTS = ("DocumentData/{language}", "DocumentData/DataCollections/{language}_data", "DocumentData/{language}_data")
"""Folders of a language's newspapers: as the published loader wants them, then as the package is delivered."""

LOW_RESOURCE_FOLDERS = ("clef-low-resource/long_paper", "clef-low-resource", "ictir19_simulate_low_resource/long_paper")
NO_DOCUMENTS = re.compile(r"\..*|readme.*|.*\.(dtd|pdf|md|doc|html?)", re.IGNORECASE)
"""Names of files beside the documents that are none."""

END = r"(\.(txt|sgml|xml|qrels))?(\.(gz|xz))?"


class Home:
    """The folder of CLEF: ``CLEF_HOME``, else ``clef`` among the collections (``XLRANK_COLLECTIONS``); it may not exist."""

    def __init__(self) -> None:
        named = os.environ.get("CLEF_HOME")
        self.folder = Path(named).expanduser() if named else collections_folder("clef")

    def documents_folder(self, layout: Layout) -> Path | None:
        """The folder of a newspaper, if it is there."""
        for above in DOCUMENTS:
            folder = inside(self.folder, above.format(language=_name(layout.language)))
            found = (folder and inside(folder, name) for name in layout.folders)
            if (first := next(filter(None, found), None)) is not None:
                return first
        return None

    def expected_documents(self, layout: Layout) -> Path:
        """Where a newspaper that is missing should be put."""
        return self.folder / DOCUMENTS[0].format(language=_name(layout.language)) / layout.folders[0]

    def document_files(self, layout: Layout) -> list[Path]:
        """The files of a newspaper in the order of their names, folders below it included; none where it is missing."""
        folder = self.documents_folder(layout)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file()) if folder else iter(())
        return [path for path in files if not NO_DOCUMENTS.fullmatch(path.name)]

    def topics_file(self, year: int, language: str) -> Path | None:
        """The topics of a year, or of all years in one of the languages of ``LOW_RESOURCE``, if they are there."""
        if language in LOW_RESOURCE:
            folders = [inside(self.folder, name) for name in LOW_RESOURCE_FOLDERS]
            return _first(folders, rf"clef-en.*_{LOW_RESOURCE[language]}{END}")
        codes = "|".join(TOPIC_FILES[language])
        return _first(self._years("Topics", year), rf"top[-_]?({codes})({year % 100:02})?{END}")

    def expected_topics(self, year: int, language: str) -> Path:
        """Where topics that are missing should be put."""
        if language in LOW_RESOURCE:
            middle = "-wo-narrative-Day-2" if language in ("sw", "so") else ""
            return self.folder / LOW_RESOURCE_FOLDERS[0] / f"clef-en-2000-2003{middle}_{LOW_RESOURCE[language]}.txt"
        if year == 2000:
            return self.folder / "Topics" / "topics2000" / f"TOP-{TOPIC_FILES[language][-1].upper()}.txt"
        return self.folder / "Topics" / str(year) / f"Top-{language}{year % 100:02}.txt"

    def qrels_file(self, year: int, language: str) -> Path | None:
        """The judgements of a year's documents in a language, if they are there."""
        known = LANGUAGES[language]
        names = "|".join((known.name, language, *known.aliases))
        return _first(self._years("RelAssess", year), rf"qrels[-_.]?({names}){END}")

    def expected_qrels(self, year: int, language: str) -> Path:
        """Where judgements that are missing should be put."""
        return self.folder / "RelAssess" / str(year) / f"qrels_{_name(language)}"

    def translations_file(self, query_language: str, document_language: str) -> Path:
        """The topics of all years translated from one language into another; it may not exist."""
        return self.folder / "translations" / f"{query_language}-{document_language}.tsv"

    def _years(self, kind: str, year: int) -> list[Path | None]:
        return [inside(self.folder, f"{kind}/{name}") for name in (str(year), f"{kind}{year}")]


def inside(folder: Path, path: str) -> Path | None:
    """What lies at a path below a folder, whatever the case of its parts; None where there is nothing."""
    for part in path.split("/"):
        exact = folder / part
        found = exact if exact.exists() else next((each for each in _entries(folder) if each.name.lower() == part.lower()), None)
        if found is None:
            return None
        folder = found
    return folder


def _first(folders: list[Path | None], pattern: str) -> Path | None:
    """The first file whose name is of a pattern, whatever its case."""
    name = re.compile(pattern, re.IGNORECASE)
    paths = (path for folder in folders if folder for path in _entries(folder))
    return next((path for path in paths if name.fullmatch(path.name) and path.is_file()), None)


def _entries(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.iterdir()) if folder.is_dir() else ()


def _name(language: str) -> str:
    """A language as the folders call it."""
    return LANGUAGES[language].name.lower()
