"""Registers exported models in MLflow as `fame-<dataset>`, with the aliases champion and challenger.

Validation metrics alone compare a model with the champion. Both must be evaluated on the same data (fingerprint) by the
same rules. The best model stays `champion`, any other new version is `challenger`. The tags of the versions have all of
this, so sweeps of several people agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.config.tree import read_experiment
from fame.errors import UserError
from fame.evaluation.ranks import rules
from fame.runtime.provenance import mask_credentials
from tuning.plan.options import plain_name
from tuning.registry.package import package, quiet
from tuning.storage.layout import shown
from tuning.tracking.runs import find, like, metric_name
from tuning.tracking.store import check_tracking_uri, connect, first_line

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model, and the reason for its alias."""

    name: str
    version: str
    alias: str
    reason: str

    def command(self, tracking_uri: str) -> str:
        """Return the shell command that serves the model."""
        uri = shlex.quote(tracking_uri)
        return f"MLFLOW_TRACKING_URI={uri} mlflow models serve -m models:/{self.name}@{self.alias} --env-manager local"

    def __str__(self) -> str:
        return f"{self.name} version {self.version} is {self.alias}: {self.reason}"


def register_best(tracking_uri: str, dataset: str, sweep: str, folder: Path) -> Registered | str:
    """Register a sweep's exported model under the sweep's run. Return a line for a person if that fails."""
    from mlflow.exceptions import MlflowException

    try:
        client, experiment_id = connect(check_tracking_uri(tracking_uri), dataset, None)
        run = find(client, experiment_id, f"tags.kind = 'sweep' and {like('sweep', sweep)}", {"sweep": sweep})
        return register(client, experiment_id, folder, run.info.run_id if run else None)
    except (MlflowException, UserError, OSError) as error:  # the sweep's results are there without it
        words = ["python", "-m", "tuning.registry", "--model", shown(folder), "--tracking-uri", tracking_uri]
        return f"not registered ({first_line(error)}); later: {mask_credentials(shlex.join(words))}"


def register(client: MlflowClient, experiment_id: str, folder: Path, run_id: str | None = None) -> Registered:
    """Register the model of an exported folder, and set its alias.

    A model that is registered already keeps its version. Raises `UserError` for a folder that is no exported
    model, and MLflow's errors.
    """
    tags = version_tags(folder)
    name = f"fame-{plain_name(tags['dataset'])}"
    with quiet(), process_store(client.tracking_uri):
        make_registered_model(client, name)
        version = known_version(client, name, tags["weights"])
        if version is None:
            version = add_version(client, experiment_id, folder, name, tags, run_id)
        return _with_alias(client, name, version, tags)


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


def version_tags(folder: Path) -> dict[str, str]:
    """Return the tags of a model's version: data, rules, metrics and the hash of its weights."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        experiment = read_experiment(folder / "config.yaml")
        data = metrics["dataset"]
        tags = {
            "dataset": data["name"],
            "fingerprint": data["fingerprint"],
            "rules": json.dumps(rules(experiment.evaluate)),
            "model": experiment.model.name,
            "metric": metrics["metric"],
            "seed": str(metrics["seed"]),
            "weights": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
            **{key: metrics[key] for key in ("sweep", "trial") if key in metrics},
        }
        values = {f"{part}.{name}": value for part in ("validation", "test") for name, value in metrics[part].items()}
        return tags | {metric_name(key): repr(value) for key, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{folder} holds no exported model that can be registered ({reason})") from None


def make_registered_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name, description="Next items for histories of raw item ids; exported by sweeps of fame-tuning."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def known_version(client: MlflowClient, name: str, weights: str) -> ModelVersion | None:
    """Return the version that has these weights, if there is one."""
    found = client.search_model_versions(f"name = '{name}' and tags.weights = '{weights}'", max_results=1)
    return found[0] if found else None


def add_version(
    client: MlflowClient, experiment_id: str, folder: Path, name: str, tags: Mapping[str, str], run_id: str | None
) -> ModelVersion:
    """Log the model and make it a version. A failure leaves no version."""
    logged = client.create_logged_model(experiment_id, name=name, source_run_id=run_id, tags=dict(tags))
    try:
        with tempfile.TemporaryDirectory(prefix="fame-model-") as work:
            target = Path(work) / "model"
            package(folder, target, logged.model_id)
            client.log_model_artifacts(logged.model_id, str(target))
        client.finalize_logged_model(logged.model_id, "READY")
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    return client.create_model_version(
        name, f"models:/{logged.model_id}", run_id=run_id, tags=dict(tags), model_id=logged.model_id
    )


def _with_alias(client: MlflowClient, name: str, version: ModelVersion, tags: Mapping[str, str]) -> Registered:
    aliases = client.get_registered_model(name).aliases
    champion = client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None
    number = str(version.version)  # a database's versions are integers, a server's are texts
    alias, reason = verdict(number, tags, champion)
    client.set_registered_model_alias(name, alias, number)
    if alias == CHAMPION and str(aliases.get(CHALLENGER)) == number:
        client.delete_registered_model_alias(name, CHALLENGER)
    return Registered(name=name, version=number, alias=alias, reason=reason)


def verdict(version: str, tags: Mapping[str, str], champion: Any) -> tuple[str, str]:
    """Return the alias of a version and the reason, given the present champion's version, if there is one."""
    metric, key = tags["metric"], metric_name(f"validation.{tags['metric']}")
    value = float(tags[key])
    ours = f"validation {metric} {value:.4f}"
    if champion is None:
        return CHAMPION, f"{ours}, the first of its kind"
    if str(champion.version) == version:
        return CHAMPION, f"{ours}, as before"
    other = f"champion is version {champion.version}"
    for what, words in {"fingerprint": "on other data", "rules": "evaluated by other rules"}.items():
        if champion.tags.get(what) != tags[what]:
            return CHALLENGER, f"{ours}; {other}, {words}, so the two do not compare"
    if key not in champion.tags:
        return CHALLENGER, f"{ours}; {other}, which has no {metric}"
    theirs = float(champion.tags[key])
    if value > theirs:
        return CHAMPION, f"{ours} beats {theirs:.4f} of version {champion.version}"
    return CHALLENGER, f"{ours} does not beat {theirs:.4f} of version {champion.version}, the champion"
