"""What the tests of compositions share."""

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.modules import Module


@pytest.fixture
def parts(tiny_base: Base) -> tuple[Module, Module, Module]:
    return make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2), make_ranking(tiny_base, 3)
