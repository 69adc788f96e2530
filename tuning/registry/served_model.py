"""Answers requests for an exported model in MLflow's server. MLflow copies this file into the model.

    POST /invocations  {"inputs": [{"history": ["id", …], "top": 10}, …]}
    →  {"predictions": [{"items": [{"id": …, "title": …, "score": …}, …],
                         "facets": [{"name": …, "weight": …}, …], "unknown": [], "popular": false}, …]}

Each input is a `fame.serving.request.Request`, which says what its fields mean. `dataframe_records` and `dataframe_split`
hold the same fields as columns. Ids that the model does not know are skipped and come back as `unknown`. Without any known
item the answer is what is popular (`popular`, and no scores). The model brings its own copy of `fame`: loading it
needs torch, numpy, safetensors and PyYAML besides MLflow.

The signature names no inputs: MLflow drops fields that a signature does not name, so it would hide misspelled ones.
"""

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from fame.errors import UserError
from fame.serving.explanation import facet_labels
from fame.serving.histories import USERS
from fame.serving.recommender import load_recommender
from fame.serving.request import Answer, Request

MOST = 1000
"""Items of an answer, at most."""


class ServedModel(PythonModel):
    """The exported folder is the artifact `best`."""

    def load_context(self, context: PythonModelContext) -> None:
        folder = Path(context.artifacts["best"])
        self.recommender, self.knows_users = load_recommender(folder), (folder / USERS).exists()

    def predict(  # type: ignore[override] # MLflow also takes this signature, without `context`
        self, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return an answer for each row of a data frame, or each request of a list.

        A request that cannot be understood is the caller's error, status 400. MLflow empties `params`, because the
        signature has none: it is None only where the caller gave none.
        """
        try:
            if params is not None:
                raise UserError("params are not read: give top, exclude and the others as fields of each request")
            return [self._readable(answer) for answer in self.recommender.recommend(self._requests(model_input))]
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _requests(self, given: Any) -> list[Request]:
        rows = given.to_dict("records") if isinstance(given, pd.DataFrame) else given
        if not isinstance(rows, list):
            raise UserError('the input must be a list of requests, for example [{"history": [1, 2], "top": 5}]')
        requests = [Request.read(row) for row in rows]
        for request in requests:
            if request.top > MOST:
                raise UserError(f"top = {request.top}: must be at most {MOST}")
            if request.user is not None and not self.knows_users:
                raise UserError(
                    f"user = {request.user!r}: this model has no users; give a history, or register it again with --users"
                )
        return requests

    def _readable(self, answer: Answer) -> dict[str, Any]:
        weights = answer.facets
        names = facet_labels(self.recommender.exported, len(weights)) if weights else []
        facets = [{"name": name, "weight": weight} for name, weight in zip(names, weights, strict=True)]
        return {**dataclasses.asdict(answer), "facets": facets}


set_model(ServedModel())
