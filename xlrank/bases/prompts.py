"""What is put before a text that is encoded alone, by the side it stands on."""

from typing import Literal

Side = Literal["query", "document"]
SIDES: tuple[Side, Side] = ("query", "document")

QUERY_PROMPT, DOCUMENT_PROMPT = "query: ", "passage: "
"""What the E5 models were trained with (Wang et al. 2024, multilingual E5)."""
