"""Where MLflow keeps the runs: checks a tracking address and opens it, or says in one line why not.

Two kinds are taken: ``sqlite:///FILE`` (embedded) and ``http(s)://HOST`` (an MLflow server).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fame.errors import UserError
from fame.provenance import mask_credentials

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REQUEST_SECONDS = 5
"""Longest wait for one answer of a server."""


def check_tracking_uri(uri: str) -> str:
    """The address with its path made absolute. Raises `UserError` for one that cannot be used.

    Looks at the text and, for sqlite, at the file; does not ask a server.
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
        return uri
    if scheme == "sqlite" and separator:
        path = rest.removeprefix("/")
        if not rest.startswith("/") or not path or path == ":memory:":
            raise UserError(f"tracking URI '{shown}': names no file; use, for example, sqlite:///mlflow.db")
        file = Path(path).absolute()
        _check_database(file, shown)
        return f"sqlite:///{file}"
    if not separator or scheme == "file":
        name = Path(rest or uri).with_suffix(".db").name
        raise UserError(
            f"tracking URI '{shown}': MLflow no longer keeps runs in folders of files; use a database, "
            f"for example sqlite:///{name or 'mlflow.db'}"
        )
    raise UserError(
        f"tracking URI '{shown}': unknown kind '{scheme}'; use sqlite:///FILE or http(s)://HOST:PORT of an MLflow server"
    )


def connect(uri: str, experiment: str, artifact_location: str | None) -> tuple[MlflowClient, str]:
    """A client of a checked address, and the id of the experiment, made if there is none.

    Artifacts of a sqlite store go to `mlartifacts` beside the database unless a location is
    given; a server knows its own place. Raises `UserError` if the store cannot be used.
    """
    shown = mask_credentials(uri)
    # Two processes that fill the same new database at once break each other.
    alone = contextlib.nullcontext()
    if uri.startswith("sqlite:"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        artifact_location = artifact_location or (folder / "mlartifacts").as_uri()
        alone = _locked(folder)

    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # no news about new tables
    try:
        with alone, patience():
            client = MlflowClient(uri)
            found = client.get_experiment_by_name(experiment)
            if found is None:
                try:
                    return client, client.create_experiment(experiment, artifact_location=artifact_location)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                    found = client.get_experiment_by_name(experiment)  # another sweep was faster
    except MlflowException as error:
        raise UserError(f"MLflow at '{shown}' {_reason(error)}") from None
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"MLflow experiment '{experiment}' at '{shown}' was deleted; bring it back with: "
            f"MLFLOW_TRACKING_URI={shown} mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return client, found.experiment_id


@contextlib.contextmanager
def patience(seconds: int = REQUEST_SECONDS) -> Iterator[None]:
    """MLflow asks once and waits `seconds`, instead of several minutes, and prints no address.

    Its client takes these settings from the environment at each request, from nowhere else. What it
    prints at the end of a run would show the password in the address.
    """
    wanted = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def is_unavailable(error: BaseException) -> bool:
    """Whether the store did not answer, or said that it cannot at the moment: worth another try later."""
    import requests

    if getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE":
        return True
    chain: BaseException | None = error
    while chain is not None:  # MLflow wraps what requests raised
        if isinstance(chain, requests.HTTPError) and chain.response is not None:
            return chain.response.status_code >= 500
        if isinstance(chain, requests.RequestException):
            return not isinstance(chain, requests.exceptions.InvalidURL)
        chain = chain.__cause__ or chain.__context__
    return False


def first_line(error: BaseException) -> str:
    """What went wrong, short: the innermost reason's first line, without passwords."""
    while error.__context__ is not None:
        error = error.__context__
    text = str(error).strip() or type(error).__name__
    return mask_credentials(text.splitlines()[0])[:300]


def _reason(error: BaseException) -> str:
    if is_unavailable(error):
        return f"is not reachable ({first_line(error)}); start the server, or use --tracking-uri sqlite:///mlflow.db"
    return f"cannot be used: {first_line(error)}"


def _check_database(file: Path, shown: str) -> None:
    if not file.parent.is_dir():
        raise UserError(f"tracking URI '{shown}': there is no folder {file.parent}; create it or name another")
    try:
        # MLflow would try a file that cannot be opened again and again for a minute.
        with contextlib.closing(sqlite3.connect(file, timeout=REQUEST_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
            database.rollback()
    except sqlite3.Error as error:
        raise UserError(
            f"tracking URI '{shown}': {file} cannot be written as an SQLite database ({error}); name another file"
        ) from None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the only lock on a folder; the lock goes with the process and leaves no file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
