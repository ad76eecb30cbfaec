"""What the tests of training share."""

import random
from pathlib import Path

import pytest

from tests.conftest import WORDS


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of Kyrgyz-like and English words."""
    choice = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "ky.txt"
    path.write_text("\n".join(" ".join(choice.choice(WORDS) for _ in range(20)) for _ in range(100)))
    return path
