"""Checks of tracking addresses: ``sqlite:///FILE`` (embedded) or ``http(s)://HOST`` (an MLflow server)."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from fame.errors import UserError
from fame.runtime.provenance import mask_credentials

LOCK_SECONDS = 5
"""Most seconds to wait for a database that another process writes to."""


def check_tracking_uri(uri: str) -> str:
    """Return the address with an absolute path. Raises `UserError` for an address that cannot be used.

    The check reads the text and, for sqlite, the file. It asks no server.
    """
    shown = mask_credentials(uri)
    scheme, separator, rest = uri.partition("://")
    if scheme in ("http", "https"):
        try:
            host, _ = urlsplit(uri).hostname, urlsplit(uri).port
        except ValueError as error:
            raise UserError(f"tracking URI '{shown}': {error}; use http://HOST:PORT") from None
        if not host:
            raise UserError(f"tracking URI '{shown}': has no host; use http://HOST:PORT")
        page, mark, _ = uri.partition("#")
        if mark:
            raise UserError(f"tracking URI '{shown}': is the address of a page; use {mask_credentials(page)}")
        return uri
    if scheme == "sqlite" and separator:
        file = database_file(uri)
        _check_database(file, shown)
        return sqlite_uri(file)
    if not separator or scheme == "file":
        name = Path(rest or uri).with_suffix(".db").name
        raise UserError(
            f"tracking URI '{shown}': MLflow no longer keeps runs in folders of files; use a database, "
            f"for example sqlite:///{name or 'mlflow.db'}"
        )
    raise UserError(
        f"tracking URI '{shown}': unknown kind '{scheme}'; use sqlite:///FILE or http(s)://HOST:PORT of an MLflow server"
    )


def sqlite_uri(file: Path) -> str:
    """Return the address of a database file. SQLAlchemy, which reads it, knows how `?`, `#` and `%` are written."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def database_file(uri: str) -> Path:
    """Return the absolute path of the file behind a ``sqlite:///FILE`` address."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    shown = mask_credentials(uri)
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise UserError(f"tracking URI '{shown}': is no address; use, for example, sqlite:///mlflow.db") from None
    database = url.database or ""
    if url.host or database in ("", ":memory:"):
        raise UserError(f"tracking URI '{shown}': names no file; use, for example, sqlite:///mlflow.db")
    if "?" in uri:
        raise UserError(
            f"tracking URI '{shown}': what follows '?' is no part of the file; write %3F for a '?' in its name"
        )
    return Path(database).absolute()


def _check_database(file: Path, shown: str) -> None:
    if not file.parent.is_dir():
        raise UserError(f"tracking URI '{shown}': there is no folder {file.parent}; create it or name another")
    try:
        if not file.exists():  # SQLite would make it, and an empty file would stay where nothing comes of the sweep
            with tempfile.TemporaryFile(dir=file.parent):
                return
        # MLflow would try a file that cannot be opened again and again for a minute.
        with contextlib.closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
            database.rollback()
    except (sqlite3.Error, OSError) as error:
        raise UserError(
            f"tracking URI '{shown}': {file} cannot be written as an SQLite database ({error}); name another file"
        ) from None
