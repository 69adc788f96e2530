"""Answers requests for an exported model in MLflow's server. MLflow copies this file into the model.

    POST /invocations  {"inputs": [{"history": ["id", …], "top": 10}, …]}
    →  {"predictions": [{"items": [{"id": …, "title": …, "score": …}, …],
                         "facets": [{"name": …, "weight": …}, …], "unknown": [], "popular": false}, …]}

Histories are raw item ids, oldest first. Ids that the model does not know are skipped and come back as
`unknown`; without any known item the answer is what is popular (`popular`, and no scores). The model brings its
own copy of `fame`: loading it needs torch, numpy, safetensors and PyYAML besides MLflow.
"""

from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel, ConfigDict, Field

from fame.serving.explanation import facet_labels
from fame.serving.recommender import load_recommender

TOP, MOST = 10, 1000
"""Items of an answer: by default, and at most."""


class Query(BaseModel):
    """A request: a history, and the number of items."""

    model_config = ConfigDict(extra="forbid")

    history: list[int | str]
    top: int | None = Field(default=None, ge=1, le=MOST)


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
        """Return an answer for each query."""
        number = self.recommender.number
        known = [[n for id in query.history if (n := number(id)) is not None] for query in model_input]
        tops = [query.top or TOP for query in model_input]
        found = self.recommender.recommend(known, max(tops, default=1))
        return [
            Answer(
                items=[Item(id=item.id, title=item.title, score=item.score) for item in answer.items[:top]],
                facets=self._facets(answer.facets),
                unknown=[id for id in query.history if number(id) is None],
                popular=not history,
            )
            for query, top, history, answer in zip(model_input, tops, known, found, strict=True)
        ]

    def _facets(self, weights: list[float]) -> list[Facet]:
        names = facet_labels(self.recommender.exported, len(weights)) if weights else []
        return [Facet(name=name, weight=weight) for name, weight in zip(names, weights, strict=True)]


set_model(ServedModel())
