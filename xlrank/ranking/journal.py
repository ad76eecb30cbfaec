"""A journal of scores: an interrupted rerank continues where it stopped."""

import json
from pathlib import Path

from xlrank.files import unwritable


class Journal:
    """Scores by batch number, appended as they come. A line that was cut off by an interruption is ignored.

    Args:
        path: file whose name carries the content key of the work, so that a journal of other work is never picked up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[int, list[float]] = {}
        if path.is_file():
            lines = path.read_bytes().split(b"\n")
            whole = b"".join(line + b"\n" for line in lines[:-1])
            if lines[-1]:
                path.write_bytes(whole)
            for line in lines[:-1]:
                try:
                    batch, scores = json.loads(line)
                except ValueError:
                    continue
                self.done[int(batch)] = scores

    def add(self, batch: int, scores: list[float]) -> None:
        """Append one batch's scores and hand them to the operating system.

        Raises:
            XlrankError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="ascii") as stream:
                stream.write(json.dumps([batch, scores]) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.done[batch] = scores

    def remove(self) -> None:
        """Delete the file once the run is written."""
        self.path.unlink(missing_ok=True)
