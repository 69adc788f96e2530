"""Registers exported models in MLflow under the dataset's name, with the aliases champion and challenger.

Validation metrics alone compare two models. Both must be evaluated on the same data (fingerprint) by the same rules. The
best model stays `champion`. A new version that does not beat it becomes `challenger` if it beats the last challenger.
MLflow has the metrics, and the tags of the versions have the rest, so sweeps of several people agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fame.command_line import line, search_path
from fame.config.tree import read_experiment
from fame.datasets.sequences import PARTS
from fame.errors import UserError
from fame.runtime.provenance import mask_credentials
from fame.serving.request import Request
from tuning.plan.options import plain_name
from tuning.storage.layout import shown
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.runs import PARAM_LENGTH, RunBatch, find, like, milliseconds, texts
from tuning.tracking.store import connect, first_line
from tuning.tracking.vocabulary import exported_metrics, metric_name, settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
ABOUT = (
    "Next items for histories of raw item ids; exported by sweeps of fame-tuning. Ask a served version with "
    f'`{{"inputs": [{{"history": [1, 2]}}]}}`; fields of a request: {", ".join(f.name for f in fields(Request))}.'
)
"""Description of a registered model. The signature has no inputs: see `served_model.py`."""
MODELS = "models:/"
"""Source of a version, before the id of its logged model."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model, and the reason for its alias."""

    name: str
    version: str
    alias: str | None
    """None for a version that beats neither the champion nor the challenger."""
    reason: str

    def command(self, tracking_uri: str) -> str:
        """Return the shell command that serves the model, also without an activated environment."""
        words = [path] if (path := search_path("mlflow")) else []
        words += [f"MLFLOW_TRACKING_URI={shlex.quote(tracking_uri)}"]
        model = f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"
        return f"{' '.join(words)} mlflow models serve -m models:/{model} --env-manager local"

    def __str__(self) -> str:
        return f"{self.name} version {self.version} is {self.alias or 'registered'}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Rated:
    """A version's metrics, and the tags that say with which versions it compares."""

    version: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    @classmethod
    def of(cls, client: MlflowClient, version: ModelVersion) -> Rated:
        """Read a version. Versions of earlier releases have their metrics among the tags."""
        tags = version.tags
        model_id = (version.source or "").removeprefix(MODELS)  # MLflow's databases keep it nowhere else
        logged = client.get_logged_model(model_id).metrics or ()
        found = {metric.key: metric.value for metric in sorted(logged, key=lambda metric: metric.step)}
        early = {
            metric_name(key.replace(".", "/", 1).replace("_at_", "@")): float(value)
            for key, value in tags.items()
            if key.startswith(("validation.", "test."))
        }
        return cls(version=str(version.version), tags=tags, metrics=early | found)

    def value(self, metric: str) -> float | None:
        """Return the validation metric."""
        return self.metrics.get(metric_name(metric))

    def cannot_compare(self, other: Rated, metric: str) -> str | None:
        """Return why the two cannot be compared; None if they can."""
        for what, words in {"fingerprint": "on other data", "rules": "evaluated by other rules"}.items():
            if self.tags.get(what) != other.tags.get(what):
                return f"{words}, so the two do not compare"
        return None if other.value(metric) is not None else f"which has no {metric}"


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
        return _with_alias(client, exported.name, version)


@contextlib.contextmanager
def process_store(uri: str) -> Iterator[None]:
    """Set the process's MLflow store. MLflow looks logged models up there, whatever the client."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported folder as the registry has it."""

    folder: Path
    tags: dict[str, str]
    """Data, rules, origin and the hash of the weights."""
    metrics: dict[str, float]
    params: dict[str, str]

    @property
    def name(self) -> str:
        """The name of the registered model: all models of a dataset are its versions."""
        return plain_name(self.tags["dataset"])

    @classmethod
    def read(cls, folder: Path, users: bool = False) -> Exported:
        """Read a folder. Raises `UserError` if it holds no exported model, or not the users that are wanted."""
        from fame.evaluation.ranks import rules
        from fame.serving.histories import USERS

        if users and not (folder / USERS).exists():
            raise UserError(f"--users: {folder} has no {USERS}; export the model again, or leave --users out")
        try:
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
            experiment = read_experiment(folder / "config.yaml")
            data = metrics["dataset"]
            tags = {
                "dataset": data["name"],
                "fingerprint": data["fingerprint"],
                "rules": json.dumps(rules(experiment)),
                "model": experiment.model.name,
                "metric": metrics["metric"],
                "seed": str(metrics["seed"]),
                "weights": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
                **{key: metrics[key] for key in ("sweep", "trial") if key in metrics},
                **({"users": "yes"} if users else {}),
            }
            found, params = exported_metrics(metrics), texts(settings(experiment), PARAM_LENGTH)
            return cls(folder=folder, tags=tags, metrics=found, params=params)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{folder} holds no exported model that can be registered ({reason})") from None

    def __str__(self) -> str:
        metric, tags = self.tags["metric"], self.tags
        values = ", ".join(f"{part} {self.metrics[metric_name(f'{part}/{metric}')]:.4f}" for part in PARTS)
        origin = f" of sweep {tags['sweep']}, trial {tags['trial']}" if "sweep" in tags else ""
        return f"{tags['model']}{origin}: {metric} {values}"


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
    return client.create_model_version(
        exported.name,
        f"{MODELS}{logged.model_id}",
        run_id=run_id,
        tags=exported.tags,
        description=str(exported),
        model_id=logged.model_id,
    )


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


def _with_alias(client: MlflowClient, name: str, version: ModelVersion) -> Registered:
    aliases = client.get_registered_model(name).aliases
    rated = {
        alias: Rated.of(client, client.get_model_version(name, aliases[alias]))
        for alias in (CHAMPION, CHALLENGER)
        if alias in aliases
    }
    ours = Rated.of(client, version)
    alias, reason = verdict(ours, rated.get(CHAMPION), rated.get(CHALLENGER))
    if alias is not None:
        client.set_registered_model_alias(name, alias, ours.version)
    if alias == CHAMPION and CHALLENGER in rated and rated[CHALLENGER].version == ours.version:
        client.delete_registered_model_alias(name, CHALLENGER)
    return Registered(name=name, version=ours.version, alias=alias, reason=reason)


def verdict(ours: Rated, champion: Rated | None, challenger: Rated | None) -> tuple[str | None, str]:
    """Return the alias of a version and the reason, given the versions that have the aliases now."""
    metric = ours.tags["metric"]
    value = ours.value(metric)
    assert value is not None, "a registered model has its validation metric"
    about = f"validation {metric} {value:.4f}"
    if champion is None:
        return CHAMPION, f"{about}, the first of its kind"
    if champion.version == ours.version:
        return CHAMPION, f"{about}, as before"
    if champion.tags.get("weights") == ours.tags["weights"]:
        return CHAMPION, f"{about}, the weights of version {champion.version}"
    why = ours.cannot_compare(champion, metric)
    if why is None:
        theirs = champion.metrics[metric_name(metric)]
        if value > theirs:
            return CHAMPION, f"{about} beats {theirs:.4f} of version {champion.version}"
        reason = f"{about} does not beat {theirs:.4f} of version {champion.version}, the champion"
    else:
        reason = f"{about}; champion is version {champion.version}, {why}"
    if challenger is None or challenger.version == ours.version or ours.cannot_compare(challenger, metric):
        return CHALLENGER, reason
    theirs = challenger.metrics[metric_name(metric)]
    if value > theirs:
        return CHALLENGER, reason
    return None, f"{reason}, nor {theirs:.4f} of version {challenger.version}, the challenger"
