"""MLflow's store: opens a checked address, or says in one line why not."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fame.errors import UserError
from fame.runtime.provenance import mask_credentials
from tuning.tracking.addresses import LOCK_SECONDS, database_file

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Settings of MLflow's client: one request of at most 20 seconds instead of minutes, and no printed passwords.

The client reads them from the environment at each request, and from nowhere else."""
PLACES = ("", "/mlflow")
"""Paths at which MLflow's server is often found behind a proxy or with `--static-prefix`."""
PLACE_SECONDS = 5
ARTIFACTS = "mlartifacts"
"""Folder of artifacts beside a database."""
ARTIFACT_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Columns of MLflow's tables that hold a place of artifacts."""
REFUSALS = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST")
"""MLflow's codes for requests that would fail again. Other codes may come from a store with a temporary fault: a server
without its database says BAD_REQUEST."""

HTML = re.compile(r"\.?\s*(Response body: *)?[\"']?<(!doctype|html)\b.*", re.IGNORECASE | re.DOTALL)
"""A page in the message of an error: the answer of a proxy, or of a server at another path."""


class StoreAwayError(UserError):
    """Nobody answers at the address at the moment."""


def check_experiment(uri: str, experiment: str) -> None:
    """Raise `UserError` if the experiment at a checked address was deleted. Makes nothing, asks only what is there."""
    if uri.startswith("sqlite:"):
        file = database_file(uri)
        if not file.exists():
            return
        with contextlib.closing(
            sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS)
        ) as database:
            try:
                query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
                found = database.execute(query, (experiment,)).fetchone()
            except sqlite3.OperationalError:  # a new database has no tables yet
                return
    else:
        be_patient()
        with in_one_line(uri):
            answer = client_of(uri).get_experiment_by_name(experiment)
        found = answer and (answer.experiment_id, answer.lifecycle_stage)
    if found and found[1] == "deleted":
        raise deleted(uri, experiment, found[0])


def deleted(uri: str, experiment: str, experiment_id: object) -> UserError:
    """The error about an experiment that was deleted."""
    shown = mask_credentials(uri)
    return UserError(
        f"MLflow experiment '{experiment}' at '{shown}' was deleted; bring it back with: "
        f"MLFLOW_TRACKING_URI={shown} mlflow experiments restore --experiment-id {experiment_id}"
    )


def elsewhere(uri: str) -> str | None:
    """Return the address of an MLflow server that does not answer at `uri`, but on the host itself or at a usual path."""
    import requests

    given = urlsplit(uri)._replace(query="", fragment="")
    bases = (given.geturl().rstrip("/"), given._replace(path="").geturl())
    for address in dict.fromkeys(base + place for base in bases for place in PLACES):
        try:
            answer = requests.get(f"{address}/health", timeout=PLACE_SECONDS)
        except requests.RequestException:
            return None
        if answer.ok and answer.text.strip() == "OK":
            return None if address == bases[0] else address
    return None


def client_of(uri: str) -> MlflowClient:
    """Return MLflow's client of a checked address.

    Of an SQLite file MLflow would make the folder as the address spells it: `what%3F` beside `what?`. The check has seen
    the folder, so none is made.
    """
    if uri.startswith("sqlite:"):
        from mlflow.store.db import utils

        utils._make_parent_dirs_if_sqlite = lambda db_uri: None

    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def follow_moved_artifacts(uri: str) -> None:
    """Bring the places of artifacts up to date if a database and the folder beside it were moved together.

    MLflow keeps each place as a whole path. A place is changed only where its folder is gone and the one here is there.
    """
    if not uri.startswith("sqlite:") or not (file := database_file(uri)).exists():
        return
    here = file.parent / ARTIFACTS
    with contextlib.closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as database, database:
        try:
            found = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        except sqlite3.OperationalError:  # a new database has no tables yet
            return
        for (place,) in found:
            before = Path(unquote(urlsplit(place or "").path))
            moved = before.name == ARTIFACTS and before != here and not before.exists() and here.is_dir()
            for table, column in ARTIFACT_COLUMNS if moved else ():
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR {column} LIKE ? || '/%'",
                    (here.as_uri(), len(place) + 1, place, place),
                )


def connect(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """Return a client of a checked address and the id of the experiment, which is made if it is missing.

    Artifacts of a sqlite store go to `mlartifacts` beside the database. A server knows its own
    place. Raises `UserError` if the experiment was deleted.
    """
    # Two processes that fill the same new database at once break each other.
    artifact_location = None
    alone: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if uri.startswith("sqlite:"):
        folder = database_file(uri).parent
        artifact_location = (folder / ARTIFACTS).as_uri()
        alone = _locked(folder)

    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # no news about new tables
    with alone:
        follow_moved_artifacts(uri)
        client = client_of(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            try:
                return client, client.create_experiment(experiment, artifact_location=artifact_location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(experiment)  # another sweep was faster
    assert found is not None
    if found.lifecycle_stage == "deleted":
        raise deleted(uri, experiment, found.experiment_id)
    return client, found.experiment_id


@contextlib.contextmanager
def in_one_line(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into a `UserError`, or a `StoreAwayError` if the store may answer later."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        shown = mask_credentials(uri)
        if is_unavailable(error):
            raise StoreAwayError(
                f"MLflow at '{shown}' is not reachable ({first_line(error)}); "
                "start the server, or use --tracking-uri sqlite:///mlflow.db"
            ) from None
        raise UserError(f"MLflow at '{shown}' cannot be used: {first_line(error)}{advice(uri, error)}") from None


def advice(uri: str, error: BaseException) -> str:
    """Return the next step after an error of a server, if one is known."""
    found = elsewhere(uri) if uri.startswith("http") else None
    if found:
        return f"; MLflow answers at {mask_credentials(found)}, so use this address"
    return "; if it refuses the name in the address, start it with --allowed-hosts" if "403" in str(error) else ""


def be_patient() -> None:
    """Set `CLIENT_SETTINGS` for the rest of the process, except those that the user has set.

    They are not set around each request: another thread may read the environment at that moment, which C does not allow.
    """
    for name, value in CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)


def is_refusal(error: BaseException, uri: str) -> bool:
    """Whether MLflow itself says that it will never accept this write."""
    from mlflow.exceptions import MlflowException, RestException

    # Of a server, what is not MLflow's own answer comes from a proxy before it.
    kind = RestException if uri.startswith("http") else MlflowException
    return isinstance(error, kind) and error.error_code in REFUSALS


def is_unavailable(error: BaseException) -> bool:
    """Whether the store did not answer, or cannot at the moment. Another try later makes sense."""
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


def environment_changed(error: BaseException) -> bool:
    """Whether a variable of the environment went away while it was read, as requests does for each request.

    Another thread takes variables away: ours and Ray's, when Ray starts and when Tune ends.
    """
    chain: BaseException | None = error
    while chain is not None:
        codes = [frame.f_code for frame, _ in traceback.walk_tb(chain.__traceback__)]
        if isinstance(chain, KeyError) and codes[-1:] == [type(os.environ).__getitem__.__code__]:
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def first_line(error: BaseException) -> str:
    """Return the first line of the innermost reason of an error, without passwords."""
    while error.__context__ is not None:
        error = error.__context__
    text = str(error).strip() or type(error).__name__
    text = HTML.sub("", text).strip() or "it answers with a page instead of data"
    return mask_credentials(text.splitlines()[0])[:300].strip()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the only lock on a folder. The lock ends with the process and leaves no file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
