"""Names become modules: shipped ids, languages and their aliases, sides, relatives that stand in, overrides, folders."""

from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, parse
from xlrank.composition.plan import plan
from xlrank.composition.resolve import resolver
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.arithmetic import averaged


@pytest.fixture(scope="module")
def data(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Module]]:
    """A data folder that ships ky, en, ru, and the two ranking modules."""
    folder = tmp_path_factory.mktemp("data")
    made = {f"language/{code}": make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "en", "ru"))}
    made |= {"ranking/en": make_ranking(tiny_base, 7), "ranking/monobert": make_ranking(tiny_base, 8, "full")}
    for name, module in made.items():
        module.save(folder / "modules" / name)
    return folder, made


@pytest.fixture(autouse=True)
def shipped(data: tuple[Path, dict[str, Module]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Module]:
    """The modules of that folder, shipped; the working folder is an empty one."""
    monkeypatch.setattr("xlrank.modules.locate.data_folder", lambda: data[0])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return data[1]


def resolved(
    text: str, query: str | None = None, document: str | None = None, modules: dict[str, str] | None = None
) -> Composition:
    return parse(text).resolve(resolver(query, document, modules))


def modules_of(composition: Composition) -> list[Module]:
    return [leaf.loaded() for leaf in composition.leaves()]


@pytest.mark.parametrize(
    ("text", "printed", "names"),
    [
        ("ky+rank", "ky+rank", ["language/ky", "ranking/en"]),
        ("kg", "ky", ["language/ky"]),
        ("kyrgyz", "ky", ["language/ky"]),
        ("language/ky", "language/ky", ["language/ky"]),
        ("monobert", "monobert", ["ranking/monobert"]),
        ("ranking/en", "ranking/en", ["ranking/en"]),
        ("split(query,document)+rank", "split(ky,en)+rank", ["language/ky", "language/en", "ranking/en"]),
        ("document+rank", "en+rank", ["language/en", "ranking/en"]),
        ("ug", "ug~ky", ["language/ky"]),
        ("uk", "uk~ru", ["language/ru"]),
        ("zh", "zh~en", ["language/en"]),
        ("ug~ru", "ug~ru", ["language/ru"]),
        ("ug~language/en", "ug~language/en", ["language/en"]),
    ],
)
def test_names_become_modules(shipped: dict[str, Module], text: str, printed: str, names: list[str]) -> None:
    composition = resolved(text, "ky", "en")
    assert str(composition) == printed
    assert modules_of(composition) == [shipped[name] for name in names]


@pytest.mark.parametrize("side", ["query", "document"])
def test_a_side_whose_language_is_not_known_is_refused(side: str) -> None:
    with pytest.raises(XlrankError, match=f"'{side}' needs to know the {side}'s language"):
        resolved(f"{side}+rank")


def test_a_side_without_a_module_gets_its_relatives() -> None:
    assert str(resolved("split(query,document)+rank", "ug", "de")) == "split(ug~ky,de~en)+rank"


def test_what_was_printed_parses_to_the_same_modules() -> None:
    composition = resolved("split(query,document)+rank", "ug", "de")
    assert resolved(str(composition)) == composition


def test_the_average_of_relatives_may_stand_in(tiny_base: Base, tmp_path: Path, shipped: dict[str, Module]) -> None:
    tr = make_adapter(tiny_base, "tr", 20)
    rule = resolver("ug", "de", {"tr": str(tr.save(tmp_path / "tr"))}, stand_in="average")
    composition = parse("split(query,document)+rank").resolve(rule)
    assert str(composition) == "split(ug~average(ky,tr),de~en)+rank"
    assert modules_of(composition)[:2] == [shipped["language/ky"], tr]
    assert [stand_in.name for stand_in in composition.stand_ins()] == ["ug", "de"]
    part = plan(composition).adapters[0][0]
    assert part is not None and part.module == averaged([shipped["language/ky"], tr])
    assert parse(str(composition)).resolve(rule) == composition


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(XlrankError, match="stand-in rule 'furthest': expected one of nearest, average"):
        resolver("ug", "en", stand_in="furthest")  # type: ignore[arg-type]


def test_sides_may_be_left_open(shipped: dict[str, Module]) -> None:
    composition = parse("split(query,document)+rank").resolve(resolver(None, "en", keep_sides=True))
    assert [leaf.module for leaf in composition.leaves()] == [None, shipped["language/en"], shipped["ranking/en"]]
    assert str(composition) == "split(query,en)+rank"


def test_overrides_replace_names(tiny_base: Base, tmp_path: Path) -> None:
    mine = make_adapter(tiny_base, "ug", 20)
    folder = str(mine.save(tmp_path / "mine"))
    for text, query in (("ug", None), ("query", "ug"), ("uig", None)):
        composition = resolved(text, query, modules={"ug": folder})
        assert str(composition) == "ug"
        assert modules_of(composition) == [mine]
    assert modules_of(resolved("rank", modules={"rank": folder})) == [mine]
    assert modules_of(resolved("ug~ky", modules={"ky": folder})) == [mine]


def test_an_override_may_stand_in(tiny_base: Base, tmp_path: Path) -> None:
    mine = make_adapter(tiny_base, "ug", 20)
    assert str(resolved("uz", modules={"ug": str(mine.save(tmp_path / "mine"))})) == "uz~ug"


def test_an_override_under_an_alias_counts_for_the_language(tiny_base: Base, tmp_path: Path) -> None:
    mine = make_adapter(tiny_base, "ky", 20)
    assert modules_of(resolved("query", "ky", modules={"kg": str(mine.save(tmp_path / "mine"))})) == [mine]


def test_a_stand_in_is_the_module_that_it_says() -> None:
    # There is no module for Turkish: another one must not run under the label uz~tr.
    with pytest.raises(XlrankError):
        resolved("uz~tr")


def test_folders_are_modules(tiny_base: Base, tmp_path: Path) -> None:
    module = make_adapter(tiny_base, "ky", 21)
    module.save(tmp_path / "work" / "my" / "ky")
    assert modules_of(resolved("my/ky+rank"))[0] == module
    assert modules_of(resolved(f"{tmp_path}/work/my/ky"))[0] == module


@pytest.mark.parametrize("name", ["nothing", "language/xx", "ranking/xx", "./ky", "xx"])
def test_unknown_names_list_the_shipped_modules(name: str) -> None:
    with pytest.raises(
        XlrankError, match=rf"module '{name}': no such folder .* \(language/en, language/ky, language/ru, ranking/en"
    ):
        resolved(name)


def test_an_override_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="no such folder with"):
        resolved("ug", modules={"ug": str(tmp_path / "none")})


def test_resolved_leaves_stay(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "en", 30)
    leaf = Leaf("ky", module)
    assert leaf.resolve(resolver()) is leaf
    assert modules_of((leaf + parse("rank")).resolve(resolver()))[0] is module


@pytest.mark.parametrize("language", ["yo", "bho"])
def test_languages_of_which_only_the_code_is_known_get_a_stand_in(language: str) -> None:
    found = parse("split(query,document)+rank").resolve(resolver(language, "en"))
    assert str(found) == f"split({language}~en,en)+rank"
