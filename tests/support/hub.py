"""A hub on this machine: what `datasets` asks of huggingface.co, answered from files on disk.

`root/OWNER/NAME/REVISION/` is a repository at a revision.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMITS = {"main": "0" * 40, "refs/convert/parquet": "1" * 40}
REVISION = f"(?:/({'|'.join([*COMMITS, *COMMITS.values()])}))"
ABOUT = re.compile(f"/api/datasets/([^/]+/[^/]+?)(?:/revision{REVISION})?")
TREE = re.compile(f"/api/datasets/([^/]+/[^/]+)/tree{REVISION}/?(.*)")
FILE = re.compile(f"/datasets/([^/]+/[^/]+)/resolve{REVISION}/(.+)")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@contextmanager
def serving(root: Path):
    """Serves the repositories under `root`, and gives the address to name as HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, root))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    commit = COMMITS["main"]

    def __init__(self, root: Path, *args):
        self.root = root
        super().__init__(*args)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for pattern, reply in ((FILE, self.file), (TREE, self.tree), (ABOUT, self.about)):
            if found := pattern.fullmatch(path):
                name, revision, *below = found.groups()
                revision = next((r for r in COMMITS if revision in (r, COMMITS[r])), "main")
                self.commit, folder = COMMITS[revision], self.root / name / revision
                return reply(folder, *below) if folder.is_dir() else self.missing("RepoNotFound")
        self.missing("RepoNotFound")

    do_HEAD = do_GET

    def about(self, folder: Path) -> None:
        self.json({"id": str(folder), "sha": self.commit})

    def file(self, folder: Path, name: str) -> None:
        if not (folder / name).is_file():
            return self.missing("EntryNotFound")
        raw, code = (folder / name).read_bytes(), 200
        headers = {"ETag": f'"{hashlib.sha1(raw).hexdigest()}"'}
        if wanted := RANGE.fullmatch(self.headers.get("Range", "")):
            first, last = int(wanted[1]), int(wanted[2] or len(raw) - 1)
            headers["Content-Range"] = f"bytes {first}-{min(last, len(raw) - 1)}/{len(raw)}"
            raw, code = raw[first : last + 1], 206
        self.answer(code, raw, headers)

    def tree(self, folder: Path, below: str) -> None:
        if not (folder / below).is_dir():
            return self.missing("EntryNotFound")
        deep = "recursive=true" in self.path
        paths = (folder / below).rglob("*") if deep else (folder / below).iterdir()
        self.json([entry(path, str(path.relative_to(folder))) for path in sorted(paths)])

    def json(self, what) -> None:
        self.answer(200, json.dumps(what).encode(), {"Content-Type": "application/json"})

    def missing(self, what: str) -> None:
        self.answer(404, b"", {"X-Error-Code": what})

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        headers |= {"Content-Length": str(len(body)), "X-Repo-Commit": self.commit}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


def entry(path: Path, name: str) -> dict:
    if path.is_dir():
        return {"type": "directory", "oid": "", "size": 0, "path": name}
    raw = path.read_bytes()
    return {"type": "file", "oid": hashlib.sha1(raw).hexdigest(), "size": len(raw), "path": name}
