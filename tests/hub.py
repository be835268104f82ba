"""A hub on this machine: what `datasets` asks of huggingface.co, answered from files on disk.

`root/OWNER/NAME/` is a repository, the same at every revision.
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

COMMIT = "0" * 40
REVISION = "(?:refs/convert/parquet|[^/]+)"
ABOUT = re.compile(f"/api/datasets/([^/]+/[^/]+?)(?:/revision/{REVISION})?")
TREE = re.compile(f"/api/datasets/([^/]+/[^/]+)/tree/{REVISION}/?(.*)")
FILE = re.compile(f"/datasets/([^/]+/[^/]+)/resolve/{REVISION}/(.+)")
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

    def __init__(self, root: Path, *args):
        self.root = root
        super().__init__(*args)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if found := FILE.fullmatch(path):
            self.file(*found.groups())
        elif found := TREE.fullmatch(path):
            self.tree(*found.groups())
        elif (found := ABOUT.fullmatch(path)) and (self.root / found[1]).is_dir():
            self.json({"id": found[1], "sha": COMMIT})
        else:
            self.missing("RepoNotFound")

    do_HEAD = do_GET

    def file(self, repository: str, name: str) -> None:
        path = self.root / repository / name
        if not path.is_file():
            known = (self.root / repository).is_dir()
            return self.missing("EntryNotFound" if known else "RepoNotFound")
        raw, code = path.read_bytes(), 200
        headers = {"ETag": f'"{hashlib.sha1(raw).hexdigest()}"'}
        if wanted := RANGE.fullmatch(self.headers.get("Range", "")):
            first, last = int(wanted[1]), int(wanted[2] or len(raw) - 1)
            headers["Content-Range"] = f"bytes {first}-{min(last, len(raw) - 1)}/{len(raw)}"
            raw, code = raw[first : last + 1], 206
        self.answer(code, raw, headers)

    def tree(self, repository: str, below: str) -> None:
        folder = self.root / repository / below
        if not folder.is_dir():
            return self.missing("EntryNotFound")
        paths = folder.rglob("*") if "recursive=true" in self.path else folder.iterdir()
        self.json([self.entry(repository, path) for path in sorted(paths)])

    def entry(self, repository: str, path: Path) -> dict:
        name = str(path.relative_to(self.root / repository))
        if path.is_dir():
            return {"type": "directory", "oid": COMMIT, "size": 0, "path": name}
        raw = path.read_bytes()
        return {
            "type": "file",
            "oid": hashlib.sha1(raw).hexdigest(),
            "size": len(raw),
            "path": name,
        }

    def json(self, what) -> None:
        self.answer(200, json.dumps(what).encode(), {"Content-Type": "application/json"})

    def missing(self, what: str) -> None:
        self.answer(404, b"", {"X-Error-Code": what})

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        headers |= {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass
