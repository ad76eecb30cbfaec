"""Dense retrieval: a bi-encoder, an index of its documents' vectors, and exact search in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from xlrank.bases import Base
from xlrank.bases.prompts import Side
from xlrank.collections.documents import texts_digest
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import build_once, content_key
from xlrank.precision import Precision
from xlrank.progress import Progress, told
from xlrank.retrieval.dense.encoders import BiEncoder, MeanPooledEncoder, Vectors
from xlrank.retrieval.dense.search import nearest
from xlrank.retrieval.dense.store import FORMAT, Storage, VectorIndex, build, open_index
from xlrank.retrieval.rocchio import Rocchio
from xlrank.runs import Run
from xlrank.text import clean, few


class DenseRetriever:
    """Finds the documents whose vectors are nearest to a query's.

    Args:
        base: the encoder itself, used with mean pooling, or any other bi-encoder, such as a
            :class:`~xlrank.retrieval.dense.sentence.SentenceEncoder`, which has settings of its own instead of these four:
        query_prefix: put before each query (default: ``query: ``).
        document_prefix: put before each document (default: ``passage: ``).
        max_length: word pieces a text is cut to (default: 256).
        precision: ``auto``, ``fp32``, ``bf16``.
        storage: of the documents' vectors; ``float16`` takes half the space and moves a cosine by less than .001.

    Attributes:
        encoder: the bi-encoder.
        storage: of the documents' vectors.

    Raises:
        XlrankError: a setting is impossible, or belongs to the encoder.
    """

    def __init__(
        self,
        base: Base | BiEncoder,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        max_length: int | None = None,
        precision: Precision | None = None,
        storage: Storage = "float32",
    ) -> None:
        settings = {
            "query_prefix": query_prefix,
            "document_prefix": document_prefix,
            "max_length": max_length,
            "precision": precision,
        }
        given = {name: value for name, value in settings.items() if value is not None}
        if given and not isinstance(base, Base):
            raise XlrankError(
                f"dense retrieval: {', '.join(given)} must be given to the encoder {base.name!r}, not to the retriever"
            )
        if storage not in ("float32", "float16"):
            raise XlrankError(f"dense retrieval: unknown storage {storage!r}; expected float32 or float16")
        self.encoder: BiEncoder = MeanPooledEncoder(base, **given) if isinstance(base, Base) else base  # type: ignore[arg-type]
        self.storage: Storage = storage

    def __repr__(self) -> str:
        return f"DenseRetriever({self.encoder!r}, storage={self.storage!r})"

    @property
    def query_prefix(self) -> str:
        """What is put before each query."""
        return self.encoder.prefix("query")

    @property
    def document_prefix(self) -> str:
        """What is put before each document."""
        return self.encoder.prefix("document")

    def index(self, documents: Sequence[Document], folder: Path, progress: Progress | None = None) -> Path:
        """Embed the documents' full texts, or find the vectors of an earlier call.

        Interrupted, the same call continues behind the last 8,192 documents that it had finished. Needs memory for as many,
        and twice the vectors' disk space at its end.

        Args:
            documents: with unique ids without white space. Those without any text are never found, as with BM25.
            folder: where indexes are kept; the index is its sub folder ``dense-KEY``, there only when whole. The key covers
                model, prefix, length, precision, storage and texts.
            progress: told how many documents are embedded; by default that is shown on standard error.

        Returns:
            The index, for :meth:`search`.

        Raises:
            XlrankError: bad ids, no documents, a model that cannot be loaded or gives what is no number, or a full disk.
        """
        facts = {"digest": texts_digest(documents), "encoder": dict(self.encoder.identity), "storage": self.storage}
        path = Path(folder) / f"dense-{content_key(FORMAT, facts)}"

        def make() -> None:
            with told(progress, "embedding documents") as report:
                build(path, documents, lambda texts, each: self.embed(texts, each, side="document"), facts, report)

        build_once(path, lambda: _whole(path), make)
        return path

    def search(
        self,
        index: Path,
        documents: Sequence[Document],
        queries: Mapping[str, str],
        depth: int,
        feedback: tuple[Rocchio, Run] | None = None,
    ) -> Run:
        """The ``depth`` nearest documents of each query, exactly; equally near ones in the order of ids, also at the cut.

        Args:
            index: what :meth:`index` returned for these ``documents``.
            documents: the indexed documents, in the same order; they are not read again.
            queries: topic id to text. One without content has no entry in the run, and a note names it.
            depth: documents a query, at least 1.
            feedback: moves the queries towards the best documents of a run.

        Raises:
            XlrankError: the index is damaged, was made for other documents or by another model; or the run of ``feedback``
                ranks other documents.
        """
        if depth < 1:
            raise XlrankError(f"depth is {depth}; expected the number of documents wanted for a topic, at least 1")
        empty = [topic for topic, query in queries.items() if not clean(query)]
        if empty:
            rest = {topic: query for topic, query in queries.items() if clean(query)}
            note = few(
                [f"topic {topic!r}" for topic in empty], "has no content and finds nothing", "have no content and find nothing"
            )
            return self.search(index, documents, rest, depth, feedback).noted(note)
        stored = open_index(Path(index))
        self._check(stored, documents)
        asked = self.embed(list(queries.values()), side="query")
        odd = np.flatnonzero(~np.isfinite(asked).all(axis=1))
        if len(odd):
            raise XlrankError(
                f"dense retrieval: the vector of topic {list(queries)[int(odd[0])]!r} holds what is no number; "
                f"the model {self.encoder.name!r} cannot be used"
            )
        if feedback:
            rocchio, run = feedback
            asked = rocchio.moved(asked, list(queries), run, stored, self.encoder.similarity)
        options = {"places": stored.places, "similarity": self.encoder.similarity, "largest": stored.facts["largest"]}
        found = nearest(asked, stored.vectors, depth, **options)
        try:
            rankings = {
                topic: tuple(zip(stored.ids(rows), similarities.tolist(), strict=True))
                for topic, (rows, similarities) in zip(queries, found, strict=True)
            }
        except XlrankError as error:
            raise XlrankError(f"{index}: {error}; delete the folder and index the documents again") from None
        described = self._described(depth)
        if feedback:
            described["feedback"] = {**asdict(feedback[0]), "run": feedback[1].name}
        return Run("dense", rankings, {"method": described})

    def embed(self, texts: Sequence[str], progress: Progress | None = None, *, side: Side | None = None) -> Vectors:
        """Vectors [texts, dimensions] in float32, with the prefix of ``side``; None: of the texts as they are."""
        return self.encoder.encode(texts, side, progress)

    def _described(self, depth: int) -> dict[str, object]:
        encoder = {**self.encoder.identity, "query_prefix": self.query_prefix, "similarity": self.encoder.similarity}
        return {"name": "dense", "model": self.encoder.name, **encoder, "storage": self.storage, "depth": depth}

    def _check(self, stored: VectorIndex, documents: Sequence[Document]) -> None:
        facts = stored.facts
        if facts.get("digest") != texts_digest(documents):
            raise XlrankError(
                f"{stored.path}: was made for other documents ({len(stored.vectors)} of them, not these {len(documents)}); "
                "index these"
            )
        # By way of JSON, as the index has it.
        if facts.get("encoder") != json.loads(json.dumps(dict(self.encoder.identity))):
            raise XlrankError(
                f"{stored.path}: was made by another model or with other settings than {self.encoder.name!r} has now; "
                "index the documents again"
            )


def _whole(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        open_index(path)
    except XlrankError:
        return False
    return True
