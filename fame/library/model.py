"""A trained model: its metrics, its recommendations, its folder."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fame.config import Experiment
from fame.config.paths import near
from fame.config.tree import read_experiment, to_dict, write_yaml
from fame.datasets import Dataset, load_dataset, print_to_stderr
from fame.datasets.kept import keep_table
from fame.datasets.sequences import PARTS
from fame.errors import UserError
from fame.evaluation.seeds import measured
from fame.packages import optional
from fame.runtime.files import replacing, writing
from fame.serving.new_items import with_new_items
from fame.serving.other_data import evaluate_on
from fame.serving.recommender import Recommender, history_of_user, load_recommender
from fame.serving.request import Request

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""Most ids that a message names."""


class Model:
    """A trained model, from `fit`, `load` or a sweep. It lies in `folder`, as docs/GUIDE.md says."""

    def __init__(self, folder: Path, data: Dataset | None = None) -> None:
        self.folder = folder
        self._data = data

    def __repr__(self) -> str:
        metric, found = self.metrics["metric"], self.metrics
        values = ", ".join(f"{part} {found[part][metric]:.4f}" for part in PARTS)
        return f"Model({self.experiment.model.name} on {found['dataset']['name']}: {metric} {values})"

    @cached_property
    def experiment(self) -> Experiment:
        """All settings of the training."""
        return read_experiment(self.folder / "config.yaml")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """All that was measured, as in `metrics.json`: metrics by part and by frequency, history, provenance."""
        return cast(dict[str, Any], json.loads((self.folder / "metrics.json").read_text(encoding="utf-8")))

    @cached_property
    def recommender(self) -> Recommender:
        """The model as it serves: histories of item numbers in, items out."""
        return load_recommender(self.folder)

    @cached_property
    def data(self) -> Dataset:
        """The dataset of the training. Raises `UserError` if it is no longer where it was."""
        return self._data or load_dataset(self.experiment.data)

    def evaluate(self, data: Dataset | None = None) -> pd.DataFrame:
        """Return the metrics of the best epoch: a row each (`ndcg@10`, …), columns `validation` and `test`.

        With `data` the model is evaluated on that dataset's test items, and the column is `test`. Items that the model
        does not know are left out of histories, and count as not found. Raises `UserError` if no user has a known item
        before a test item.

        Each user's held-out items are ranked among all items. HR@k is the share of users with such an item among the
        first k. NDCG@k gives the first places more weight. Both are from 0 to 1. docs/GUIDE.md explains the others.
        Validation chose the epoch; test was measured once, after it. `fame.evaluation` computes them.

            >>> import fame
            >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
            >>> model = fame.fit(data, epochs=1, dim=16, heads=2, experts=2)
            >>> list(model.evaluate().columns), model.evaluate().index[:2].tolist()
            (['validation', 'test'], ['hr@5', 'ndcg@5'])
        """
        with optional():
            import pandas as pd

        if data is not None:
            other = evaluate_on(self.recommender.exported, data, self.experiment)
            return pd.DataFrame({"test": other.metrics | other.lists}).rename_axis("metric")
        return pd.DataFrame({part: measured(self.metrics, part) for part in PARTS}).rename_axis("metric")

    def recommend(
        self,
        *,
        users: Iterable[Any] | None = None,
        histories: Iterable[Iterable[Any]] | Mapping[Any, Iterable[Any]] | None = None,
        k: int = 10,
        candidates: Iterable[Any] | None = None,
        exclude: Iterable[Any] = (),
        where: Mapping[str, Any] | None = None,
        min_score: float | None = None,
        seen: bool | None = None,
    ) -> pd.DataFrame:
        """Return the k best next items of users of the data, or of histories of item ids, oldest first.

        A row is an item: `user`, `rank` (from 1), `item`, `title`, `score`, with the ids of the source. `user` is the
        place of a history, from 0, or its key if `histories` is a mapping or a series. `score` is the dot product of
        the query and the item (no probability); scores of different users do not compare.

        The other arguments hold for all, as in `fame.serving.request.Request`: `candidates` are the only items to choose
        from, `exclude` is left out, `where` filters by columns of the items (`{"category": "Shampoo"}`), `min_score` is the
        lowest score, and `seen` says whether items of the history may be recommended (as in the evaluation by default).
        Items of histories that the model does not know are ignored with a warning. A history without known items gets the
        most popular items, whose score is NaN.

        Raises `UserError` for an unknown user or column, and if neither or both of users and histories are given.

            >>> import fame
            >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
            >>> model = fame.fit(data, epochs=1, dim=16, heads=2, experts=2)
            >>> model.recommend(users=data.users[:2], k=3)[["user", "rank"]].to_numpy().tolist()
            [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
            >>> list(model.recommend(histories=[[3, 4]], k=1, exclude=[5]).columns)
            ['user', 'rank', 'item', 'title', 'score']
        """
        with optional():
            import pandas as pd

        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise UserError(f"k = {k!r}: must be a whole number of at least 1")
        if (users is None) == (histories is None):
            raise UserError("recommend to whom? Give users or histories, one of them")
        asked = self._of_histories(histories) if histories is not None else self._of_users(users)
        rule = Request(
            top=k,
            candidates=None if candidates is None else _listed("candidates", candidates),
            exclude=_listed("exclude", exclude),
            where=where or {},
            min_score=min_score,
            seen=seen,
        )
        answers = self.recommender.recommend([dataclasses.replace(rule, history=history) for _, history in asked])
        rows = [
            (user, rank, item.id, item.title, math.nan if item.score is None else item.score)
            for (user, _), answer in zip(asked, answers, strict=True)
            for rank, item in enumerate(answer.items, start=1)
        ]
        return pd.DataFrame(rows, columns=["user", "rank", "item", "title", "score"])

    def with_items(
        self, items: Any, *, item_id: str | None = None, folder: str | os.PathLike[str] | None = None
    ) -> Model:
        """Return a copy of a model that started from text, which knows new items by their text, too.

        `items` is a table like the one of the training, or the path of a file. It has ids and the columns that make the
        text. Items that the model knows stay as they are. `item_id` names its column of ids. The copy lies in `folder`;
        without one it goes when the model does, and `save` keeps it.

        Raises `UserError` for a model that did not start from text, a table without new items, and items that are
        repeated or without text.

            >>> import fame, pandas
            >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
            >>> model = fame.fit(data, model="sasrec", epochs=1, dim=16)
            >>> model.with_items(pandas.DataFrame({"item_id": [31], "title": ["a new one"]}))
            Traceback (most recent call last):
            fame.errors.UserError: ... did not start from text, so new items have no vectors; ...
        """
        place, target = items, Path(folder).expanduser() if folder is not None else None
        if not isinstance(items, str | os.PathLike):
            with optional():
                place = keep_table(items, print_to_stderr, named=[item_id] if item_id else [])
        settings = {} if item_id is None else {"data.item_id": item_id}
        if target is not None:
            with_new_items(self.folder, os.fspath(place), settings, target, print_to_stderr)
            return Model(target, self._data)
        work = Path(tempfile.mkdtemp(prefix="fame-model-"))
        try:
            with_new_items(self.folder, os.fspath(place), settings, work / "best", print_to_stderr)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        found = Model(work / "best", self._data)
        weakref.finalize(found, shutil.rmtree, work, ignore_errors=True)
        return found

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model's folder, in place of a model that is there, and return its path. `load` reads it.

        Raises `UserError` if the folder cannot be written, or holds other files.

            >>> import fame
            >>> data = fame.Dataset.named("synthetic", size={"users": 60, "items": 30})
            >>> model = fame.fit(data, model="sasrec", epochs=1, dim=16)
            >>> fame.load(model.save("shop")).evaluate().equals(model.evaluate())
            True
        """
        target = Path(folder).expanduser()
        if target.exists() and target.resolve() == self.folder.resolve():
            return target
        if target.is_dir() and any(target.iterdir()) and not (target / "model.safetensors").exists():
            raise UserError(f"{target} holds other files than a model; choose another folder")
        with writing(target), replacing(target) as temporary:
            shutil.copytree(self.folder, temporary, dirs_exist_ok=True)
            tree = near(to_dict(self.experiment), target)
            (temporary / "config.yaml").write_text(write_yaml(tree), encoding="utf-8")
        return target

    def _of_users(self, users: Iterable[Any] | None) -> list[tuple[Any, list[Any]]]:
        """Ids and histories of users."""
        ids = self.recommender.exported.catalogue.ids
        found = [history_of_user(self.recommender, user) for user in _listed("users", users)]
        return [(user, [ids[number - 1] for number in history]) for user, history in found]

    def _of_histories(
        self, histories: Iterable[Iterable[Any]] | Mapping[Any, Iterable[Any]]
    ) -> list[tuple[Any, list[Any]]]:
        """Keys and histories. Warns of items that the model does not know."""
        pairs = histories.items() if hasattr(histories, "items") else enumerate(_listed("histories", histories))
        listed = [(key, _listed("a history", history)) for key, history in pairs]
        number = self.recommender.number
        unknown = dict.fromkeys(id for _, history in listed for id in history if number(id) is None)
        if unknown:
            first = ", ".join(map(str, list(unknown)[:SHOWN])) + (", …" if len(unknown) > SHOWN else "")
            message = f"items of the histories that the model does not know are ignored ({len(unknown)}): {first}"
            warnings.warn(message, stacklevel=3)
        return listed


def load(folder: str | os.PathLike[str]) -> Model:
    """Read a model from the folder that `Model.save`, a training or a sweep wrote.

    Recommending needs this folder alone, `Model.data` the dataset.
    Raises `UserError` if the folder holds no model, or is damaged.

        >>> import fame
        >>> fame.load("nowhere")
        Traceback (most recent call last):
        fame.errors.UserError: nowhere holds no exported model ...
    """
    model = Model(Path(folder).expanduser())
    _ = model.recommender
    return model


def _listed(what: str, values: Any) -> list[Any]:
    """Ids as a list. Raises `UserError` for one id or text in the place of a list."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise UserError(f"{what} = {values!r}: must be a list" + (" of lists of item ids" if "histor" in what else ""))
    return list(values)
