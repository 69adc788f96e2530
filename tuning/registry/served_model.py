"""Answers requests for an exported model in MLflow's server. MLflow copies this file into the model.

    POST /invocations  {"inputs": [{"history": ["id", …], "top": 10}, …]}
    →  {"predictions": [{"items": [{"id": …, "title": …, "score": …}, …],
                         "facets": [{"name": …, "weight": …}, …], "unknown": [], "popular": false}, …]}

A query is a `fame.serving.request.Request`: histories are raw item ids, oldest first, and `candidates`, `exclude`, `where`,
`min_score` and `seen` say what may be recommended. Ids that the model does not know are skipped and come back as
`unknown`; without any known item the answer is what is popular (`popular`, and no scores). The model brings its
own copy of `fame`: loading it needs torch, numpy, safetensors and PyYAML besides MLflow.
"""

import math
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fame.errors import UserError
from fame.serving.explanation import facet_labels
from fame.serving.recommender import load_recommender
from fame.serving.request import Request

MOST = 1000
"""Items of an answer, at most."""


class Query(BaseModel):
    """A request for one user, with the fields of `Request`."""

    model_config = ConfigDict(extra="forbid")

    history: list[int | str]
    top: int | None = Field(default=None, ge=1, le=MOST)
    candidates: list[int | str] | None = None
    exclude: list[int | str] | None = None
    where: dict[str, str | int | float | list[str | int | float] | dict[str, float]] | None = None
    min_score: float | None = None
    seen: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def as_written(cls, values: Any) -> Any:
        """Undo what pandas does to a row: whole numbers as fractions, NaN for what is missing."""
        if not isinstance(values, dict):
            return values
        missing = {key for key, value in values.items() if isinstance(value, float) and math.isnan(value)}
        return {key: _whole(value) for key, value in values.items() if key not in missing}


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Item(BaseModel):
    """A recommended item. An item that is recommended because it is popular has no score."""

    id: int | str
    title: str
    score: float | None = None


class Facet(BaseModel):
    """The weight of a facet."""

    name: str
    weight: float


class Answer(BaseModel):
    """The answer to one query."""

    items: list[Item]
    facets: list[Facet]
    unknown: list[int | str]
    popular: bool


class ServedModel(PythonModel):
    """The exported folder is the artifact `best`."""

    def load_context(self, context: PythonModelContext) -> None:
        self.recommender = load_recommender(Path(context.artifacts["best"]))

    def predict(self, model_input: list[Query]) -> list[Answer]:
        """Return an answer for each query. One that cannot be understood is the caller's error, status 400."""
        try:
            requests = [Request(**query.model_dump(exclude_none=True)) for query in model_input]
            found = self.recommender.recommend(requests)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        return [
            Answer(
                items=[Item(id=item.id, title=item.title, score=item.score) for item in answer.items],
                facets=self._facets(answer.facets),
                unknown=answer.unknown,
                popular=answer.popular,
            )
            for answer in found
        ]

    def _facets(self, weights: list[float]) -> list[Facet]:
        names = facet_labels(self.recommender.exported, len(weights)) if weights else []
        return [Facet(name=name, weight=weight) for name, weight in zip(names, weights, strict=True)]


set_model(ServedModel())
