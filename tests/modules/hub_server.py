"""A Hub of one's own on this machine: what huggingface_hub asks of the real one, answered from folders, and a client for it."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CLIENT = """
import json, sys
from xlrank import Module
from xlrank.errors import XlrankError

for id, options in json.loads(sys.argv[1]):
    if "base" in options:
        from xlrank import Base

        options["base"] = Base(options["base"])
    folder = options.pop("save", None)
    try:
        module = Module.load(id, **options)
        if folder:
            module.save(folder)
        found = {"digest": module.digest, "training": dict(module.training), "folder": str(module.source)}
    except XlrankError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
"""


@dataclass
class Hub:
    """Repositories by name: for each its revisions (branches and tags), and for each commit a folder.

    Attributes:
        endpoint: where it listens.
        commits: folder with the files, by repository and commit.
        revisions: commit, by repository and branch or tag.
        errors: status and ``X-Error-Code`` to answer with, by repository.
        sizes: sizes to claim in listings, by file name.
        requests: method and path of everything that was asked for.
    """

    endpoint: str = ""
    commits: dict[tuple[str, str], Path] = field(default_factory=dict)
    revisions: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, repository: str, folder: Path, *names: str) -> str:
        """Publish a folder under some branches or tags; its commit."""
        commit = hashlib.sha1(str(folder).encode()).hexdigest()
        self.commits[repository, commit] = folder
        self.revisions |= {(repository, name): commit for name in names}
        return commit

    def got(self) -> list[str]:
        """The names of the files that were downloaded."""
        return [request.rpartition("/")[2] for request in self.requests if request.startswith("GET") and "/resolve/" in request]


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def load(hub: Hub, cache: Path, *wanted: str | tuple[str, dict[str, Any]], offline: bool = False) -> list[dict[str, Any]]:
    """Load modules in a process of its own, which knows no Hub but this one; what was found, or the error.

    Options are those of ``Module.load``, and ``save``: a folder to save the module in. Otherwise tensors of our own format are
    not read, so that the process need not import torch.
    """
    requests = [one if isinstance(one, tuple) else (one, {}) for one in wanted]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_CACHE": str(cache / "hub"),
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "",
    }
    command = [sys.executable, "-c", CLIENT, json.dumps(requests)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep quiet."""

    def answer(self) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append(f"{self.command} {path}")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            repository, (what, revision) = "/".join(parts[2:4]), (parts[4:6] or ["revision", "main"])
        else:
            repository, (what, revision) = "/".join(parts[:2]), parts[2:4]
        commit = self.hub.revisions.get((repository, revision), revision)
        if repository in self.hub.errors:
            status, code = self.hub.errors[repository]
            self.send(status, b"", {"X-Error-Code": code})
        elif not any(known == repository for known, _ in self.hub.commits):
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif (repository, commit) not in self.hub.commits:
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif what == "resolve":
            self.send_file(self.hub.commits[repository, commit] / "/".join(parts[4:]), commit)
        else:
            self.send_listing(what, repository, commit)

    def send_listing(self, what: str, repository: str, commit: str) -> None:
        root = self.hub.commits[repository, commit]
        files = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}
        sizes = {name: self.hub.sizes.get(path.name, path.stat().st_size) for name, path in files.items()}
        if what == "tree":
            listing: Any = [
                {"type": "file", "path": name, "size": sizes[name], "oid": _oid(path)} for name, path in files.items()
            ]
        else:
            siblings = [{"rfilename": name, "size": size, "blobId": _oid(files[name])} for name, size in sizes.items()]
            listing = {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings}
        self.send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})

    def send_file(self, path: Path, commit: str) -> None:
        if path.is_file():
            self.send(200, path.read_bytes(), {"ETag": f'"{_oid(path)}"', "X-Repo-Commit": commit})
        else:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
