"""How far long work is, on standard error: bars on a terminal, a line now and then on anything else."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is, 0 where that is unknown."""

StageProgress = Callable[[str], AbstractContextManager[Progress]]
"""Called with what begins. The block under it is the stage; it gets the function to report its progress to."""

SOON = 1.0
"""Seconds that a stage may take without a word, unless it reports something: often everything is there already."""
EVERY = 10.0
"""Seconds between two lines of a stage."""

_open: list["Stage"] = []
"""The stages that have begun and not ended, the outermost first."""
_lock = threading.RLock()
"""Held while something is shown: stages also show themselves, from threads of their own."""


@contextmanager
def silent(_description: str) -> Iterator[Progress]:
    """A stage that nobody looks at."""
    yield lambda _done, _total: None


@contextmanager
def shown(description: str) -> Iterator["Stage"]:
    """A stage that is shown on standard error; stages may lie within stages.

    Of the processes of a distributed training only the first shows anything.
    """
    from rich.console import Console

    console = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    stage: Stage = (_Bar if console.is_interactive else _Lines)(description, console)
    _open.append(stage)
    threading.Thread(target=stage.watch, daemon=True).start()
    whole = False
    try:
        yield stage
        whole = True
    finally:
        with _lock:
            _open.remove(stage)
            stage.over.set()
            if stage.visible:
                stage.end(whole=whole)


@contextmanager
def told(progress: Progress | None, description: str) -> Iterator[Progress]:
    """A stage that reports to ``progress``; where that is None, it is shown."""
    if progress is not None:
        yield progress
        return
    with shown(description) as stage:
        yield stage


class Stage(ABC):
    """A stage that is shown; call it to report its progress.

    Attributes:
        description: what goes on.
        console: where it is shown.
        note: stands beside the counts.
        visible: whether anything was shown.
        over: set when the stage has ended.
    """

    def __init__(self, description: str, console: "Console") -> None:
        self.description, self.console, self.note = description, console, ""
        self.done = self.total = 0
        self.began, self.visible, self.over = time.monotonic(), False, threading.Event()

    def __call__(self, done: int, total: int) -> None:
        """Report how much is done and how much there is, 0 where that is unknown."""
        self.done, self.total = done, total
        self.show()

    def show(self) -> None:
        """Show how far the stage is."""
        with _lock:
            if not self.over.is_set():
                if not self.visible:
                    self.visible = True
                    self.begin()
                self.update()

    def watch(self) -> None:
        """Show the stage if it takes long, whether it reports anything or not; runs in a thread of its own."""
        if not self.over.wait(SOON):
            self.show()

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    @property
    def counts(self) -> str:
        """What was reported last."""
        if self.total:
            return f"{self.done:,} of {self.total:,}"
        return f"{self.done:,} so far" if self.done else ""

    @property
    def result(self) -> str:
        """What a stage that is over has done."""
        return f"{self.done:,} done" if self.done else "done"

    @abstractmethod
    def begin(self) -> None:
        """Show the stage for the first time."""

    @abstractmethod
    def update(self) -> None:
        """Show what was reported."""

    @abstractmethod
    def end(self, *, whole: bool) -> None:
        """Show that the stage is over; not ``whole``: it broke off."""


class _Bar(Stage):
    """A bar, below those of the other stages that are open: a terminal has room for one live display only."""

    bars: Any = None

    def begin(self) -> None:
        if _Bar.bars is None:
            _Bar.bars = _bars(self.console)
            _Bar.bars.start()
        self.console = _Bar.bars.console
        self.task = _Bar.bars.add_task(self.description, total=None, counts="", note="")

    def update(self) -> None:
        self._set(self.done, self.total or None, self.counts)

    def end(self, *, whole: bool) -> None:
        if whole:
            count = max(self.done, 1)
            self._set(count, count, self.result)
        _Bar.bars.stop_task(self.task)
        if not any(isinstance(stage, _Bar) and stage.visible for stage in _open):
            _Bar.bars.stop()
            _Bar.bars = None

    def _set(self, done: int, total: int | None, counts: str) -> None:
        _Bar.bars.update(self.task, completed=done, total=total, counts=counts, note=self.note)


class _Lines(Stage):
    """A line at the start, one every few seconds, and one at the end; of stages within stages the innermost goes on."""

    def begin(self) -> None:
        self.say(f"{self.description} …")

    def update(self) -> None:
        pass

    def end(self, *, whole: bool) -> None:
        if whole:
            self._line(self.result)

    def watch(self) -> None:
        super().watch()
        while not self.over.wait(EVERY):
            with _lock:
                if _open[-1:] == [self]:
                    self._line(self.counts)

    def _line(self, counts: str) -> None:
        seconds = f"{time.monotonic() - self.began:.0f} s"
        self.say(f"{self.description}: {', '.join(part for part in (counts, self.note, seconds) if part)}")


def _bars(console: "Console") -> Any:  # noqa: ANN401 - imported when it is used
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    texts = [TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[counts]", "fields[note]")]
    return Bars(texts[0], BarColumn(), texts[1], TimeElapsedColumn(), TimeRemainingColumn(), texts[2], console=console)
