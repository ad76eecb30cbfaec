"""The named peer of our scanner: lxml's HTML parser, which the published loader reads the whole of a file with."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from xlrank.collections.clef.layouts import Layout


def peer_documents(sgml: str, layout: Layout, whole: bool = False) -> Iterator[tuple[str, str]]:
    """Id and text of every document.

    Args:
        sgml: all of a file.
        layout: whose fields are read.
        whole: all the text of a field; else, as published, only what stands before the first tag in it.
    """
    # HTML has elements of these names, which the parser would move to where HTML wants them.
    renamed = re.sub(r"<(/?)(BODY|HEAD)>", r"<\1\2\2>", sgml, flags=re.IGNORECASE)
    root: Any = import_module("lxml.html").fromstring(f"<root>{re.sub('</?IZV>', '', renamed)}</root>")
    for document in root:
        id_ = document.findtext(layout.id)
        if id_ is None:
            continue
        parts: list[str] = []
        for field in layout.fields:
            found = document.findall(field.removesuffix("*").replace("body", "bodybody"))
            found = found if field.endswith("*") else found[:1]
            parts += [(element.text_content() if whole else element.text) or "" for element in found]
        yield id_.strip(), " ".join(" ".join(parts).split())
