"""Downloads published files: locked, checked, and only ever whole.

`$FAME_DOWNLOAD_URL`, when set, replaces the address of every file by `$FAME_DOWNLOAD_URL/<file name>` (a mirror).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from fame.datasets.cache import locked, writable
from fame.datasets.entry import Report
from fame.errors import UserError
from fame.runtime.files import as_created

TIMEOUT_SECONDS = 30
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A published file. `checksum` is `md5:…` or `sha256:…`; None: its MD5 is published as `<url>.md5`."""

    name: str
    url: str
    checksum: str | None = None

    def address(self) -> str:
        mirror = os.environ.get("FAME_DOWNLOAD_URL")
        return f"{mirror.rstrip('/')}/{self.name}" if mirror else self.url


class _Failure(Exception):
    """Why a download did not work."""


def download(name: str, files: tuple[RemoteFile, ...], folder: Path, report: Report) -> None:
    """Bring the files of dataset `name` into `folder`; those that are there already stay.

    Raises `UserError` that says which file to get from where and where to put it.
    """
    with locked(f"download-{name}", report):
        with writable():
            folder.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not (folder / file.name).exists()]
        try:
            for file in missing:
                _download(file, folder / file.name, report)
        except _Failure as failure:
            urls = " and ".join(file.url for file in missing)
            raise UserError(
                f"cannot download {name}: {failure}; fetch {urls} yourself and put what you got into {folder} "
                "(or name the folder it is in with --data-dir)"
            ) from None


def _download(file: RemoteFile, target: Path, report: Report) -> None:
    algorithm, _, wanted = (file.checksum or f"md5:{_published_md5(file)}").partition(":")
    with writable():
        for stale in target.parent.glob(f".{target.name}-*"):
            stale.unlink()  # of a process that was killed: this one holds the lock
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        os.close(handle)
    try:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        _copy(file, Path(temporary), digest, report)
        if digest.hexdigest() != wanted:
            raise _Failure(f"{file.address()} has {algorithm} {digest.hexdigest()}, not the published {wanted}")
        with writable():
            as_created(Path(temporary))
            os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(file: RemoteFile, target: Path, digest: hashlib._Hash, report: Report) -> None:
    """Stream the file into `target` and `digest`, with a progress bar where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with _open(file.address()) as response, bar as progress:
        report(f"downloading {file.address()}")
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        task = progress.add_task(file.name, total=total)
        received = 0
        with writable(), target.open("wb") as out:
            while piece := _read(response, file):
                out.write(piece)
                digest.update(piece)
                received += len(piece)
                progress.update(task, advance=len(piece))
    if total is not None and received != total:
        raise _Failure(f"{file.address()} stopped after {received:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse, file: RemoteFile) -> bytes:
    try:
        return response.read(PIECE_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Failure(f"{file.address()} broke off ({_reason(error)})") from None


def _open(address: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        raise _Failure(f"{address} answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Failure(f"{address} cannot be reached ({_reason(error)})") from None


def _published_md5(file: RemoteFile) -> str:
    address = file.address() + ".md5"
    with _open(address) as response:
        text = response.read(1024).decode("ascii", "replace")
    found = re.search(r"\b[0-9a-f]{32}\b", text)
    if not found:
        raise _Failure(f"{address} holds no MD5")
    return found[0]


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return " ".join((getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).split())
