"""A headless Chromium for tests, driven over its DevTools protocol through two pipes: no port, no driver, no other package."""

import base64
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.requirements import without

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
PATIENCE = 60.0
"""Seconds that an answer may take; a browser on a busy machine starts slowly."""


def chromium() -> str:
    """The browser's path; where there is none, the test is skipped, or fails if a browser is required."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    without("browser", "no chromium on PATH; `make browser` installs one")


class Browser:
    """One page. ``problems`` collects exceptions, console errors and violations of the page's policy."""

    def __init__(self, writer: int, reader: int) -> None:
        self._writer, self._reader = writer, reader
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self._seen: list[str] = []
        self.problems: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - what the protocol answers
        """One command; its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writer, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page and wait until it stands."""
        self._seen.clear()
        self.send("Page.navigate", url="about:blank")
        self._wait("Page.loadEventFired")
        self._seen.clear()
        self.send("Page.navigate", url=path.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        self._wait("Page.loadEventFired")

    def run(self, script: str) -> Any:  # noqa: ANN401 - any JSON value
        """The value of an expression in the page; promises are waited for."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def until(self, condition: str) -> Any:  # noqa: ANN401 - any JSON value
        """Wait until an expression holds."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(f"Boolean({condition})")):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)
        return value

    def key(self, name: str, code: int = 0, text: str = "") -> None:
        """Press a key: ``Tab``, ``Enter``, ``ArrowDown``, …"""
        keys = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        common = {"key": name, "code": name, "windowsVirtualKeyCode": code or keys[name]}
        text = text or ("\r" if name == "Enter" else "")
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """Size of the window in pixels, and whether the reader likes it ``light`` or ``dark``."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """A screenshot, of the window or of the whole page."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))
        return path

    def _wait(self, event: str) -> None:
        while event not in self._seen:
            self._next()

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            assert select.select([self._reader], [], [], max(0.0, end - time.monotonic()))[0], "the browser does not answer"
            read = os.read(self._reader, 1 << 16)
            assert read, "the browser has gone"
            self._buffer += read
        data, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(data)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method", ""), message.get("params", {})
        self._seen.append(method)
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.problems.append(str(parameters["args"]))
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(("file:", "about:", "blob:")):
            self.problems.append(f"asked for {parameters['request']['url'][:200]}")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser of its own, with a profile of its own; it ends with the block."""
    path = chromium()
    profile = tempfile.mkdtemp(prefix="xlrank-chromium-")
    (in_reader, in_writer), (out_reader, out_writer) = os.pipe(), os.pipe()
    actions: list[tuple[Any, ...]] = [
        # By way of high numbers: the pipes themselves may be 3 and 4.
        (os.POSIX_SPAWN_DUP2, in_reader, 103), (os.POSIX_SPAWN_DUP2, out_writer, 104),
        (os.POSIX_SPAWN_DUP2, 103, 3), (os.POSIX_SPAWN_DUP2, 104, 4),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]  # fmt: skip
    command = [path, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
    process = os.posix_spawn(path, command, os.environ, file_actions=actions, setpgroup=0)
    os.close(in_reader)
    os.close(out_writer)
    try:
        yield Browser(in_writer, out_reader)
    finally:
        os.close(in_writer)
        os.close(out_reader)
        try:
            os.killpg(process, signal.SIGKILL)  # the group is the browser's alone
        except ProcessLookupError:
            pass
        os.waitpid(process, 0)
        shutil.rmtree(profile, ignore_errors=True)
