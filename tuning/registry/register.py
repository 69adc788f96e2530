"""Registers exported models in MLflow, under the dataset's name and the sweep's run."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from fame.command_line import line
from fame.errors import UserError
from fame.runtime.provenance import mask_credentials
from fame.serving.request import Request
from tuning.registry.champion import MODELS, Registered, with_alias
from tuning.registry.exported import Exported
from tuning.storage.layout import shown
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.runs import RunBatch, find, like, milliseconds
from tuning.tracking.store import connect, first_line

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ABOUT = (
    "Next items for histories of raw item ids; exported by sweeps of fame-tuning. Ask a served version with "
    f'`{{"inputs": [{{"history": [1, 2]}}]}}`; fields of a request: {", ".join(f.name for f in fields(Request))}.'
)
"""Description of a registered model. The signature has no inputs: see `served_model.py`."""


def register_best(tracking_uri: str, experiment: str, sweep: str, folder: Path) -> Registered | str:
    """Register a sweep's exported model under the sweep's run. Return a line for a person if that fails."""
    from mlflow.exceptions import MlflowException

    try:
        client, experiment_id = connect(check_tracking_uri(tracking_uri), experiment)
        run = find(client, experiment_id, f"tags.kind = 'sweep' and {like('sweep', sweep)}", {"sweep": sweep})
        return register(client, experiment_id, folder, run.info.run_id if run else None)
    except (MlflowException, UserError, OSError) as error:  # the sweep's results are there without it
        options = ("--model", shown(folder), "--tracking-uri", tracking_uri)
        later = line("register", "tuning.registry", *options)
        return f"not registered ({first_line(error)}); later: {mask_credentials(later)}"


def register(
    client: MlflowClient, experiment_id: str, folder: Path, run_id: str | None = None, users: bool = False
) -> Registered:
    """Register the model of an exported folder, with its users' histories if wanted, and set its alias.

    A model that is registered already keeps its version, unless users are wanted that this version has not. Raises
    `UserError` for a folder that is no exported model, and MLflow's errors.
    """
    from tuning.registry.package import quiet

    exported = Exported.read(folder, users)
    with quiet(), process_store(client.tracking_uri):
        make_registered_model(client, exported.name)
        version = known_version(client, exported)
        if version is None:
            version = add_version(client, experiment_id, exported, run_id)
        return with_alias(client, exported.name, version)


@contextlib.contextmanager
def process_store(uri: str) -> Iterator[None]:
    """Set the process's MLflow store. MLflow looks logged models up there, whatever the client.

    MLflow also sets its variable for later processes. What was not set before is not set afterwards, else the next sweep
    of a script would take this store for its user's choice.
    """
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type] # None sets it back


def make_registered_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def known_version(client: MlflowClient, exported: Exported) -> ModelVersion | None:
    """Return the version that has these weights, if there is one: the one with users if there are two."""
    weights = f"name = '{exported.name}' and tags.weights = '{exported.tags['weights']}'"
    found = client.search_model_versions(f"{weights} and tags.users = 'yes'", max_results=1)
    if not found and "users" not in exported.tags:
        found = client.search_model_versions(weights, max_results=1)
    return found[0] if found else None


def add_version(client: MlflowClient, experiment_id: str, exported: Exported, run_id: str | None) -> ModelVersion:
    """Log the model with its parameters and metrics, and make it a version. A failure leaves no version.

    A model without a run gets one.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    from tuning.registry.package import package

    run_id = run_id or _own_run(client, experiment_id, exported)
    logged = client.create_logged_model(
        experiment_id, name=exported.name, source_run_id=run_id, tags=exported.tags, params=exported.params
    )
    try:
        with tempfile.TemporaryDirectory(prefix="fame-model-") as work:
            target = Path(work) / "model"
            package(exported.folder, target, logged.model_id, "users" in exported.tags)
            client.log_model_artifacts(logged.model_id, str(target))
        client.finalize_logged_model(logged.model_id, "READY")
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    _log_metrics(client, run_id, exported, logged.model_id)
    version = client.create_model_version(
        exported.name,
        f"{MODELS}{logged.model_id}",
        run_id=run_id,
        tags=exported.tags,
        description=str(exported),
        model_id=logged.model_id,
    )
    # MLflow's page of the logged model goes by this tag, and `mlflow.register_model` writes it, too.
    versions = json.dumps([{"name": version.name, "version": version.version}])
    client.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: versions})
    return version


def _own_run(client: MlflowClient, experiment_id: str, exported: Exported) -> str:
    """Make a run for a model that no sweep of this store has trained, and return its id."""
    tags = {"kind": "model", "mlflow.note.content": str(exported), **exported.tags}
    run_id: str = client.create_run(
        experiment_id, tags=tags, run_name=exported.folder.absolute().parent.name
    ).info.run_id
    RunBatch(params=dict(exported.params)).send(client, run_id)
    client.set_terminated(run_id)
    return run_id


def _log_metrics(client: MlflowClient, run_id: str, exported: Exported, model_id: str) -> None:
    """Log the model's metrics, on its data.

    A sweep's run has them already, with the time of its end: MLflow keeps equal points once.
    """
    from mlflow.entities import Metric

    when = client.get_run(run_id).info.end_time or milliseconds(None)
    data = {"dataset_name": exported.tags["dataset"], "dataset_digest": exported.tags["fingerprint"]}
    metrics = [
        Metric(key, value, when, 0, model_id=model_id, run_id=run_id, **data) for key, value in exported.metrics.items()
    ]
    client.log_batch(run_id, metrics=metrics, synchronous=True)
