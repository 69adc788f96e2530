"""Decides which version of a registered model is champion, and which is challenger.

Validation metrics alone compare two models. Both must be evaluated on the same data (fingerprint) by the same rules. The
best model stays `champion`. A new version that does not beat it becomes `challenger` if it beats the last challenger.
MLflow has the metrics, and the tags of the versions have the rest, so sweeps of several people agree.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame.command_line import search_path
from tuning.tracking.vocabulary import metric_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
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

    @property
    def trained(self) -> str | None:
        """Hash of the weights that were trained, before items were added."""
        return self.tags.get("trained_weights", self.tags.get("weights"))

    def cannot_compare(self, other: Rated, metric: str) -> str | None:
        """Return why the two cannot be compared; None if they can."""
        for what, words in {"fingerprint": "on other data", "rules": "evaluated by other rules"}.items():
            if self.tags.get(what) != other.tags.get(what):
                return f"{words}, so the two do not compare"
        return None if other.value(metric) is not None else f"which has no {metric}"


def with_alias(client: MlflowClient, name: str, version: ModelVersion) -> Registered:
    """Give a version the alias that it has earned, and take the alias from the version before it."""
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
    if champion.trained == ours.trained:
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
