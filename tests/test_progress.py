"""Stages on standard error: lines where there is no terminal, bars where there is one, nothing of what is over at once."""

import io
import re
import time
from collections.abc import Iterator
from functools import partial

import pytest
from rich.console import Console

from xlrank import progress
from xlrank.progress import shown, silent, told


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON", 0.05)
    monkeypatch.setattr(progress, "EVERY", 0.1)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def error(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr("rich.console.Console", partial(Console, file=stream))
    yield stream
    assert not progress._open


@pytest.fixture
def terminal(error: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setattr(error, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    return error


def lines(stream: io.StringIO) -> list[str]:
    """What was written, without the time."""
    return [re.sub(r"\d+ s$", "N s", line) for line in stream.getvalue().splitlines()]


def wait(stream: io.StringIO, text: str, times: int = 1) -> None:
    """Wait for what another thread writes."""
    ends = time.monotonic() + 60
    while stream.getvalue().count(text) < times:
        assert time.monotonic() < ends, stream.getvalue()
        time.sleep(0.01)


def test_without_a_terminal_a_line_at_the_start_and_one_at_the_end(error: io.StringIO) -> None:
    with shown("reading") as stage:
        stage(1000, 0)
        assert lines(error) == ["reading …"]
        stage(2500, 2500)
    assert lines(error) == ["reading …", "reading: 2,500 done, N s"]


def test_a_stage_that_reports_nothing_is_heard_of_all_the_same(error: io.StringIO) -> None:
    with shown("choosing"):
        wait(error, "choosing:", 2)
    assert lines(error)[:3] == ["choosing …", "choosing: N s", "choosing: N s"]
    assert lines(error)[-1] == "choosing: done, N s"


def test_lines_tell_how_far_it_is(error: io.StringIO) -> None:
    with shown("training") as stage:
        stage.note = "loss 2.5"
        stage(3, 20)
        wait(error, "of")
        stage(4000, 0)
        wait(error, "so far")
    assert "training: 3 of 20, loss 2.5, N s" in lines(error)
    assert "training: 4,000 so far, loss 2.5, N s" in lines(error)


def test_what_is_over_at_once_says_nothing(error: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SOON", 60)
    with shown("indexing"):
        pass
    assert error.getvalue() == ""


def test_what_breaks_off_is_not_done(error: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), shown("indexing") as stage:
        stage(5, 10)
        raise KeyboardInterrupt
    assert lines(error) == ["indexing …"]


def test_of_stages_within_stages_the_innermost_goes_on(error: io.StringIO) -> None:
    with shown("checking") as outer:
        outer(0, 2)
        with shown("reading") as inner:
            inner(7, 9)
            wait(error, "reading: 7 of 9", 2)
            assert not any(line.startswith("checking:") for line in lines(error))
        wait(error, "checking: 0 of 2")
    assert lines(error)[-1] == "checking: done, N s"


def test_other_processes_of_a_training_are_quiet(error: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with shown("training") as stage:
        stage(1, 2)
        stage.say("step 1")
    assert error.getvalue() == ""


def test_a_caller_who_listens_is_told_and_nothing_is_shown(error: io.StringIO) -> None:
    heard: list[tuple[int, int]] = []
    with told(lambda done, total: heard.append((done, total)), "indexing") as report:
        report(1, 2)
    with silent("searching") as report:
        report(1, 2)
    assert (heard, error.getvalue()) == ([(1, 2)], "")
    with told(None, "indexing") as report:
        report(2, 2)
    assert lines(error) == ["indexing …", "indexing: 2 done, N s"]


def test_a_bar_of_unknown_length_ends_when_its_stage_does(terminal: io.StringIO) -> None:
    with shown("outer"):
        with shown("reading [all]") as stage:
            stage(1000, 0)
            bar = progress._Bar.bars.tasks[-1]
            assert (bar.total, bar.fields["counts"]) == (None, "1,000 so far")
            stage(2500, 0)
        assert (bar.completed, bar.total, bar.finished) == (2500, 2500, True)
        assert bar.stop_time is not None, "its clock has stopped"
        wait(terminal, "outer")
    assert progress._Bar.bars is None
    assert "reading [all]" in terminal.getvalue()
    assert "2,500 done" in terminal.getvalue()


def test_a_bar_that_breaks_off_stays_where_it_was(terminal: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), shown("indexing") as stage:
        stage(5, 10)
        raise KeyboardInterrupt
    assert progress._Bar.bars is None
    assert "5 of 10" in terminal.getvalue()
    assert "done" not in terminal.getvalue()
