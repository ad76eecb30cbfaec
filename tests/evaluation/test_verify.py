"""Recomputing results folders: what is whole agrees, and each thing that can be changed is named."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.results_folder import METRICS, TESTS, edit, write_results
from xlrank.errors import XlrankError
from xlrank.evaluation.verify import verify
from xlrank.runs import Run, metadata_path


@pytest.mark.parametrize("method", ["t-test", "randomisation", "bootstrap"])
@pytest.mark.parametrize(("family", "correction"), [("pair", "holm"), ("all", "bh"), ("all", "none")])
def test_what_was_not_touched_agrees(tmp_path: Path, method: Any, family: Any, correction: Any) -> None:  # noqa: ANN401
    tests = replace(TESTS, method=method, family=family, correction=correction)
    assert verify(write_results(tmp_path, tests)) == []


def test_skipped_topics_agree_and_progress_is_told(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    assert verify(write_results(tmp_path, missing="skip"), lambda done, total: said.append((done, total))) == []
    assert said == [(number, 6) for number in range(1, 7)]


def set_value(*places: str | int, value: object) -> Callable[[Any], None]:
    def change(row: Any) -> None:  # noqa: ANN401
        for place in places[:-1]:
            row = row[place]
        row[places[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "figure", "stored"),
    [
        (set_value("metrics", "map", value=0.9), "map", "0.9"),
        (set_value("metrics", "ndcg@10", value=math.nan), "ndcg@10", "NaN"),
        (set_value("metrics", "judged@5", value=None), "judged@5", "nothing"),
        (set_value("metrics", "map", value="high"), "map", '"high"'),
        (set_value("per_topic", "rbp.80", "2", value=0.5), "rbp.80 of topic 2", "0.5"),
        (set_value("per_topic", "map", "elsewhere", value=0.5), "map of topic elsewhere", "0.5"),
        (set_value("intervals", "map", 1, value=1.0), "interval of map, high", "1"),
        (set_value("topics", value=60), "number of topics", "60"),
        (set_value("comparison", "p_corrected", value=0.0001), "comparison, p_corrected", "0.0001"),
        (set_value("comparison", "effect", value=None), "comparison, effect", "nothing"),
        (set_value("comparison", "interval", 0, value=0.0), "comparison, interval, low", "0"),
        (set_value("comparison", "wins", value=7), "comparison, wins", "7"),
        (set_value("comparison", "baseline", value="query"), "comparison, baseline", '"query"'),
        (set_value("reference_comparison", "p_value", value=0.01), "original's comparison, p_value", "0.01"),
        (set_value("published", "value", value=0.5), "published, value", "0.5"),
    ],
)
def test_a_changed_figure_is_named(tmp_path: Path, change: Callable[[Any], None], figure: str, stored: str) -> None:
    edit(write_results(tmp_path), lambda results: change(results["rows"][1]))
    (problem,) = verify(tmp_path)
    assert problem.startswith(f"clef/2003 tr-en document: {figure} is stored as {stored}, recomputed as ")


def test_a_topic_that_was_left_out_is_noticed(tmp_path: Path) -> None:
    edit(write_results(tmp_path), lambda results: [values.pop("2") for values in results["rows"][1]["per_topic"].values()])
    problems = verify(tmp_path)
    assert len(problems) == len(METRICS)
    assert problems[0].startswith("clef/2003 tr-en document: map of topic 2 is stored as nothing, recomputed as 0.")


def test_without_the_topics_texts_those_of_run_and_row_count(tmp_path: Path) -> None:
    shutil.rmtree(write_results(tmp_path) / "texts")
    assert verify(tmp_path) == []
    edit(tmp_path, lambda results: results["rows"][1]["per_topic"]["map"].pop("2"))
    (problem,) = verify(tmp_path)
    assert "map of topic 2 is stored as nothing" in problem


def test_many_topics_are_counted_not_listed(tmp_path: Path) -> None:
    edit(write_results(tmp_path), lambda results: results["rows"][1]["per_topic"].update(map={}))
    problems = [problem for problem in verify(tmp_path) if " map of " in problem]
    assert len(problems) == 4
    assert problems[-1] == "clef/2003 tr-en document: map of 4 more topics"


def test_a_run_with_another_score_is_noticed_in_every_figure_that_depends_on_it(tmp_path: Path) -> None:
    path = write_results(tmp_path) / "runs/clef-2003/tr-en.first.trec"
    run = Run.read(path)
    scores = run.scores()
    scores["0"] = {document: -score for document, score in scores["0"].items()}
    Run.of(run.name, scores, run.metadata).write(path)
    problems = verify(tmp_path)
    assert any(problem.startswith("clef/2003 tr-en first: map of topic 0 is stored as") for problem in problems)
    assert any(problem.startswith("clef/2003 tr-en document: comparison, difference is stored as") for problem in problems)
    assert not any("fi-it" in problem for problem in problems)


def test_a_run_made_anew_and_lost_or_damaged_runs(tmp_path: Path) -> None:
    runs = write_results(tmp_path) / "runs/clef-2003"
    run = Run.read(runs / "tr-en.query.trec")
    Run(run.name, run.rankings, {**run.metadata, "key": "other"}).write(runs / "tr-en.query.trec")
    (runs / "tr-en.document.trec").unlink()
    (runs / "fi-it.query.trec").write_text("1 Q0 d1 1 nan x\n", encoding="utf-8")
    missing, changed, damaged, comparisons = verify(tmp_path)
    assert missing == "clef/2003 tr-en document: the run runs/clef-2003/tr-en.document.trec is missing"
    assert changed == (
        "clef/2003 tr-en query: runs/clef-2003/tr-en.query.trec, its judgements or the settings were changed after the "
        "figures were computed"
    )
    assert damaged.startswith("clef/2003 fi-it query: ")
    assert "the score 'nan' is not a finite number" in damaged
    assert comparisons == "comparisons were not recomputed, since they depend on clef/2003 tr-en document, clef/2003 fi-it query"


def test_a_run_that_was_edited_has_lost_its_metadata(tmp_path: Path) -> None:
    path = write_results(tmp_path) / "runs/clef-2003/tr-en.first.trec"
    first = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(first[:-1]), encoding="utf-8")
    assert (
        "clef/2003 tr-en first: runs/clef-2003/tr-en.first.trec has no key in its metadata (tr-en.first.trec.meta.yaml was "
        "written for another content of the run, which counts as one without metadata); whether it was changed cannot be told"
    ) in verify(tmp_path)


def test_folders_whose_runs_have_their_metadata_at_their_head_are_verified(tmp_path: Path) -> None:
    paths = list((write_results(tmp_path) / "runs").rglob("*.trec"))
    assert len(paths) == 6
    for path in paths:
        beside = metadata_path(path)
        head = "".join(f"# ir_metadata.{line}" for line in beside.read_text(encoding="utf-8").splitlines(keepends=True)[1:])
        path.write_text(head + path.read_text(encoding="utf-8"), encoding="utf-8")
        beside.unlink()
    assert verify(tmp_path) == []


def test_runs_of_another_pair_or_of_other_candidates(tmp_path: Path) -> None:
    folder = write_results(tmp_path)
    edit(folder, lambda results: results["rows"][1].update(candidates="runs/clef-2003/fi-it.first.trec"))
    assert "re-orders other candidates than runs/clef-2003/fi-it.first.trec" in verify(folder)[0]
    edit(folder, lambda results: results["rows"][1].update(run="runs/clef-2003/fi-it.document.trec"))
    assert any("is a run on clef/2003 fi-it" in problem for problem in verify(folder))
    candidates = folder / "runs/clef-2003/tr-en.first.trec"
    run = Run.read(candidates)
    Run(run.name, {t: r[1:] for t, r in run.rankings.items()}, run.metadata).write(candidates)
    assert any("which is not in runs/clef-2003/tr-en.first.trec" in problem for problem in verify(folder))


def test_topics_without_relevant_documents_may_count(tmp_path: Path) -> None:
    folder = write_results(tmp_path)
    assert verify(folder) == []
    edit(folder, lambda results: results["treatment"].update(topics_without_relevant="zero"))
    problems = verify(folder)
    assert sum("or the settings were changed" in problem for problem in problems) == 6
    assert "clef/2003 tr-en first: map of topic 7 is stored as nothing, recomputed as 0" in problems


def test_changed_judgements_settings_and_costs(tmp_path: Path) -> None:
    folder = write_results(tmp_path)
    qrels = folder / "qrels/clef-2003.en.txt"
    qrels.write_text(qrels.read_text(encoding="utf-8") + "0 0 unseen 2\n", encoding="utf-8")
    problems = verify(folder)
    assert any("its judgements or the settings were changed" in problem for problem in problems)
    assert any("tr-en first: map of topic 0" in problem for problem in problems)
    write_results(folder)
    edit(folder, lambda results: results["rows"][2]["cost"].update(pairs=7))
    assert verify(folder) == ["clef/2003 tr-en query: cost, pairs, is stored as 7, and as 210 in runs/clef-2003/tr-en.query.trec"]
    edit(folder, lambda results: results["treatment"].update(ties="trec_eval"))
    assert sum("or the settings were changed" in problem for problem in verify(folder)) == 6


def test_rows_that_stand_twice(tmp_path: Path) -> None:
    edit(write_results(tmp_path), lambda results: results["rows"].append(results["rows"][0]))
    assert verify(tmp_path) == ["clef/2003 tr-en first: stands twice in results.json"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.trec", "runs/../../x"])
def test_paths_that_leave_the_folder_are_not_read(tmp_path: Path, name: str) -> None:
    edit(write_results(tmp_path / "results"), lambda results: results["rows"][0].update(run=name))
    assert verify(tmp_path / "results")[0] == f"clef/2003 tr-en first: {name} is not inside the folder"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda results: results.pop("format"), "format 1; expected 2: evaluate again"),
        (lambda results: results.update(rows=None), "rows is missing or malformed"),
        (lambda results: results["rows"][2].pop("intervals"), "row 3: intervals is missing or malformed"),
        (lambda results: results["rows"][0].update(per_topic={"map": []}), "row 1: per_topic is malformed"),
        (lambda results: results["tests"].update(seed="x"), "tests: seed is missing or malformed"),
        (lambda results: results.update(metrics=[]), "metrics is empty"),
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path: Path, change: Callable[[Any], None], said: str) -> None:
    edit(write_results(tmp_path), change)
    with pytest.raises(XlrankError, match=said):
        verify(tmp_path)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"results\.json: not found"):
        verify(tmp_path)
