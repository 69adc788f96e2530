"""Downloads against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fame.config import DataConfig
from fame.datasets import load_dataset
from fame.datasets.download import RemoteFile, download
from fame.errors import UserError


def archive() -> bytes:
    """A tiny archive of ml-latest-small's layout."""
    buffer = io.BytesIO()
    ratings = "".join(f"{user},{item},4.0,{item}\n" for user in range(1, 7) for item in range(1, 7))
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("ml-latest-small/ratings.csv", "userId,movieId,rating,timestamp\n" + ratings)
        file.writestr("ml-latest-small/movies.csv", 'movieId,title,genres\n1,"American President, The (1995)",Drama\n')
    return buffer.getvalue()


BODY = archive()
NAME = "ml-latest-small.zip"


class Server:
    """Answers with `pages`; counts what was asked for; `cut` bytes of every body are never sent."""

    def __init__(self) -> None:
        self.pages = {f"/{NAME}": BODY, f"/{NAME}.md5": f"MD5 ({NAME}) = {hashlib.md5(BODY).hexdigest()}\n".encode()}
        self.asked: list[str] = []
        self.cut = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.pages.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - (outer.cut if self.path.endswith(".zip") else 0)])

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("FAME_DOWNLOAD_URL", server.url)
    yield server
    server.server.shutdown()
    server.server.server_close()


def fetch(folder: Path, checksum: str | None = None) -> None:
    file = RemoteFile(name=NAME, url=f"https://example.org/{NAME}", checksum=checksum)
    download("ml-latest-small", (file,), folder, lambda line: None)


def test_a_good_download_is_read_and_not_repeated(server, cache_folder, monkeypatch):
    monkeypatch.setattr("fame.datasets.sources.PackageFile.source", lambda self: None)
    dataset = load_dataset(DataConfig(name="ml-latest-small"), report=lambda line: None)
    assert dataset.statistics["actions"] == 36
    assert dataset.items.title(1) == "American President, The (1995)"
    assert dataset.items.columns["decade"][0] == "1990s"
    assert server.asked == [f"/{NAME}.md5", f"/{NAME}"]
    assert (cache_folder / "ml-latest-small" / NAME).read_bytes() == BODY
    load_dataset(DataConfig(name="ml-latest-small", core=2), report=lambda line: None)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda server: setattr(server, "cut", 100), f"stopped after {len(BODY) - 100:,} of {len(BODY):,} bytes"),
        (lambda server: server.pages.update({f"/{NAME}": BODY[:-1] + b"x"}), "has md5 [0-9a-f]{32}, not the published"),
        (lambda server: server.pages.pop(f"/{NAME}"), "answers 404"),
        (lambda server: server.pages.pop(f"/{NAME}.md5"), "md5 answers 404"),
        (lambda server: server.pages.update({f"/{NAME}.md5": b"<html>"}), "holds no MD5"),
        (lambda server: server.server.server_close(), "cannot be reached .Connection refused."),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(break_it, words, server, tmp_path):
    if "refused" in words:
        server.server.shutdown()
    break_it(server)
    with pytest.raises(UserError, match=words) as caught:
        fetch(tmp_path / "here")
    assert f"fetch https://example.org/{NAME} yourself and put what you got into {tmp_path / 'here'}" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "here").iterdir()) == []


def test_what_a_killed_process_left_is_removed(server, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / f".{NAME}-abcd").write_bytes(b"half")
    fetch(folder)
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_host_that_does_not_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("FAME_DOWNLOAD_URL", "http://nowhere.invalid")
    with pytest.raises(UserError, match=r"cannot download ml-latest-small: .* cannot be reached"):
        fetch(tmp_path)


def test_a_pinned_checksum_needs_no_second_file(server, tmp_path):
    fetch(tmp_path, f"sha256:{hashlib.sha256(BODY).hexdigest()}")
    assert server.asked == [f"/{NAME}"]


def test_two_processes_download_once(server, tmp_path):
    code = (
        "from pathlib import Path\n"
        "from fame.datasets.download import RemoteFile, download\n"
        f"file = RemoteFile(name={NAME!r}, url='https://example.org/x')\n"
        f"download('ml-latest-small', (file,), Path({str(tmp_path)!r}), print)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert server.asked == [f"/{NAME}.md5", f"/{NAME}"]
    assert (tmp_path / NAME).read_bytes() == BODY
