"""Where collections lie that have to be obtained: licensed, or too large to ship."""

import os
from pathlib import Path

from xlrank.files import cache_folder


def collections_folder(name: str) -> Path:
    """The folder of a collection: ``XLRANK_COLLECTIONS/name``, else ``collections/name`` in the cache; it may not exist.

    Args:
        name: of the collection's folder, such as ``clef`` or ``hc4``.
    """
    collections = os.environ.get("XLRANK_COLLECTIONS")
    return (Path(collections).expanduser() if collections else cache_folder() / "collections") / name
