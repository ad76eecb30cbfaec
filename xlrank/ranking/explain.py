"""Looks inside late interaction: which of a query's word pieces met which of a document's, and how near they came."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrank.composition import Composition
from xlrank.composition.sides import side_of
from xlrank.errors import XlrankError
from xlrank.files import replacing, write_text
from xlrank.ranking.pieces import Pieces

if TYPE_CHECKING:
    from xlrank.ranking.late import LateInteraction
    from xlrank.ranking.vectors import TextVectors, TokenVectors

BAR = 20
"""Characters of the longest bar in the text table."""


class Match(NamedTuple):
    """A word piece of the query, and the document's that came nearest to it.

    Attributes:
        query: the query's piece.
        document: the document's piece.
        cosine: of their vectors.
        place: of the document's piece among its pieces.
    """

    query: str
    document: str
    cosine: float
    place: int


@dataclass(frozen=True, eq=False)
class Explanation:
    """How a query and a document met in late interaction; it prints as a table.

    Attributes:
        query: text.
        document: text.
        query_pieces: word pieces that take part in MaxSim, as text; no prompt, no special tokens, nothing that was cut off.
        document_pieces: the same of the document.
        similarities: float32 [query pieces, document pieces], cosines.
        maxsim: mean over the query's pieces of the highest cosine with any of the document's.
        pooled: cosine of the two pooled vectors.
        weight: of ``pooled`` in the score.
        composition: the ranker's, for these languages.
    """

    query: str
    document: str
    query_pieces: Sequence[str]
    document_pieces: Sequence[str]
    similarities: NDArray[np.float32]
    maxsim: float
    pooled: float
    weight: float
    composition: str

    @property
    def score(self) -> float:
        """What the ranker scores the two texts with."""
        return self.maxsim + self.weight * self.pooled

    @cached_property
    def matches(self) -> list[Match]:
        """For each of the query's pieces the document's that came nearest to it, in the query's order."""
        return matches_of(self.query_pieces, self.document_pieces, self.similarities)

    @property
    def summary(self) -> str:
        """The score and what it is made of, in one line."""
        pooled = f" + {self.weight:g} × pooled {self.pooled:.3f}" if self.weight else f"; pooled {self.pooled:.3f}, not counted"
        return f"score {self.score:.3f} = MaxSim {self.maxsim:.3f}{pooled}"

    def __str__(self) -> str:
        from rich.cells import cell_len

        found = self.matches
        low, high = min(match.cosine for match in found), max(match.cosine for match in found)
        wide = [max(cell_len(text) for text in texts) for texts in ([*self.query_pieces, "query"], [m.document for m in found])]
        rows = [("query", "document", "cosine", "")]
        for match in found:
            bar = "█" * round(1 + (BAR - 1) * (match.cosine - low) / (high - low or 1.0))
            rows.append((match.query, match.document, f"{match.cosine:.3f}", bar))
        wide[1] = max(wide[1], len("document"))
        lines = [
            f"{query}{' ' * (wide[0] - cell_len(query))}  {document}{' ' * (wide[1] - cell_len(document))}  {cosine:>6}  {bar}"
            for query, document, cosine, bar in rows
        ]
        return "\n".join([f"{self.composition}: {self.summary}", *(line.rstrip() for line in lines)])

    def html(self) -> str:
        """A page of its own with the heat map; it needs no script, no network and no other file."""
        from xlrank.ranking.heat_map import page

        return page(self)

    def save(self, path: str | Path) -> Path:
        """Write the heat map: a page (``.html``) or a picture (``.png``).

        Raises:
            XlrankError: the name ends otherwise, matplotlib is missing, or the file cannot be written.
        """
        path = Path(path)
        ending = path.suffix.lower()
        if ending == ".html":
            write_text(path, self.html())
        elif ending == ".png":
            from xlrank.ranking.heat_map import picture

            drawn = picture(self)
            with replacing(path) as temporary:
                temporary.write_bytes(drawn)
        else:
            raise XlrankError(f"{path}: a heat map is saved as .html or .png; end the name so")
        return path


def explain(interaction: "LateInteraction", query: str, document: str, composition: Composition) -> Explanation:
    """How two texts meet under a composition.

    Args:
        interaction: of the ranker.
        query: text.
        document: text.
        composition: resolved.

    Raises:
        XlrankError: a text has no content.
    """
    weight = interaction.settings(composition).pooled
    query_pieces, asked = _encoded(interaction.queries, query, composition)
    document_pieces, found = _encoded(interaction.documents, document, composition)
    return Explanation(
        query,
        document,
        query_pieces,
        document_pieces,
        similarities := cosines(asked, found),
        maxsim=float(similarities.max(1).mean()),
        pooled=float(asked.pooled[0].float() @ found.pooled[0].float()),
        weight=weight,
        composition=str(composition),
    )


def _encoded(encoder: "TextVectors", text: str, composition: Composition) -> "tuple[list[str], TokenVectors]":
    """The pieces of a text and their vectors, cut alike."""
    side = side_of(composition, encoder.side)
    encoded = encoder.encode([text], side)[0]
    if not encoded.content:
        raise XlrankError(f"explain: the {encoder.side} {text[:40]!r} has no content; give a text with words")
    return Pieces(encoder.base)(encoded.content), encoder.all([text], [side])


def cosines(query: "TokenVectors", document: "TokenVectors") -> NDArray[np.float32]:
    """Cosines [query pieces, document pieces] of one text with one other, as stored or not."""
    found = query.vectors.float() @ document.vectors.float().T
    if document.scales is not None:
        found = found * document.scales
    return np.asarray(found.numpy(), np.float32)


def matches_of(query: Sequence[str], document: Sequence[str], similarities: NDArray[np.float32]) -> list[Match]:
    """For each piece of the query the nearest of the document."""
    places = similarities.argmax(1)
    best = similarities[np.arange(len(query)), places]
    return [
        Match(piece, document[place], float(cosine), int(place)) for piece, place, cosine in zip(query, places, best, strict=True)
    ]
