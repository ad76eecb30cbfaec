"""Where the files of HC4 lie: in a folder of one's own, as its scripts leave them, or in that of ir_datasets."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xlrank.collections.irds_loading import irds_folder, load_dataset, reason, told
from xlrank.collections.places import collections_folder
from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.languages import LANGUAGES

REPOSITORY = "https://github.com/hltcoe/HC4"
CODES = {"fa": "fas", "ru": "rus", "zh": "zho"}
"""Document languages, and what HC4 calls them in the names of its files."""

SPLITS = ("train", "dev", "test")


def hc4_home() -> Path:
    """The folder of HC4: ``HC4_HOME``, else ``hc4`` among the collections; it may not exist."""
    home = os.environ.get("HC4_HOME")
    return Path(home).expanduser() if home else collections_folder("hc4")


@dataclass(frozen=True)
class Hc4Files:
    """The files of one document language and split.

    Looked for in ``HC4_HOME`` itself, in ``resources/hc4`` and ``data`` below it (a clone of HC4's repository, in which its
    scripts were run) and in the folder of ir_datasets; each packed (``.gz``) or not.
    """

    language: str
    split: str

    @property
    def code(self) -> str:
        """HC4's name of the language."""
        return CODES[self.language]

    @property
    def documents(self) -> Path | None:
        """JSON lines of the documents, as ``download_documents.py`` leaves them; None where they are absent."""
        return _found(f"{self.code}/hc4_docs.jsonl")

    @property
    def store(self) -> Path | None:
        """The documents as ir_datasets has stored them when it once read them; None where it has not."""
        path = irds_folder() / "hc4" / self.code / "hc4_docs.jsonl.pklz4" / "bin"
        return path if path.is_file() else None

    @property
    def topics(self) -> Path | None:
        """JSON lines of the split's topics, those of all document languages; None where they are absent."""
        return _found(f"{self.split}.topics.v1-0.jsonl")

    @property
    def qrels(self) -> Path | None:
        """The judgements; None where they are absent."""
        return _found(f"{self.code}.{self.split}.qrels.v1-0.txt", f"{self.code}/{self.split}.qrels.v1-0.txt")

    @property
    def ids(self) -> list[Path]:
        """The files of document ids and checksums; empty where they are absent."""
        return next((found for root in _roots() if (found := sorted((root / self.code).glob("ids*.jsonl*")))), [])

    def translated(self, language: str) -> Path:
        """The topics in a language that was added to HC4's own; they ship with the package."""
        return data_folder() / "hc4" / f"{self.split}.topics.{language}.tsv"

    @property
    def added_languages(self) -> list[str]:
        """Languages of :meth:`translated`, sorted."""
        found = (path.name.split(".")[-2] for path in (data_folder() / "hc4").glob(f"{self.split}.topics.*.tsv"))
        return sorted(code for code in found if code in LANGUAGES)

    def parts(self) -> dict[str, bool]:
        """Which parts are here."""
        return {
            "documents": bool(self.documents or self.store),
            "topics": self.topics is not None,
            "judgements": self.qrels is not None,
        }

    def documents_absent(self) -> XlrankError:
        """The error that there are no documents."""
        language, path = LANGUAGES[self.language].name, hc4_home() / self.code / "hc4_docs.jsonl"
        here = ", ".join(part for part, is_here in self.parts().items() if is_here) or "nothing"
        return XlrankError(
            f"hc4/{self.language}: the {language} documents of HC4 are not here; they must be rebuilt from Common Crawl with "
            f"the scripts of {REPOSITORY} and put at {path} (HC4_HOME names another folder); found here of {self.split}: {here}"
        )

    def fetched(self, part: Literal["topics", "judgements"]) -> Path:
        """The topics or judgements by way of ir_datasets, which downloads them.

        Raises:
            XlrankError: ir_datasets is not installed, or cannot.
        """
        name = f"{self.split}.topics.v1-0.jsonl" if part == "topics" else f"{self.code}/{self.split}.qrels.v1-0.txt"
        dataset_id = f"hc4/{self.language}/{self.split}"
        try:
            dataset = load_dataset(dataset_id)
            with told(dataset_id, part):
                found = dataset.queries_handler().queries_path() if part == "topics" else dataset.qrels_handler().qrels_path()
        except XlrankError as error:
            why = reason(error.__cause__) if error.__cause__ else error
            raise XlrankError(
                f"{dataset_id}: the {part} of HC4 are not here; put {name} (resources/hc4 of {REPOSITORY}) into {hc4_home()} "
                f"(HC4_HOME names another folder); ir_datasets cannot fetch it ({why})"
            ) from None
        return Path(found[0] if isinstance(found, list) else found)


def _roots() -> Iterator[Path]:
    home = hc4_home()
    yield from (home, home / "resources" / "hc4", home / "data", irds_folder() / "hc4")


def _found(*names: str) -> Path | None:
    packed = (root / f"{name}{suffix}" for root in _roots() for name in names for suffix in ("", ".gz"))
    return next((path for path in packed if path.is_file()), None)
