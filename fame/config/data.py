"""The sections `data` and `data.split` of an experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from fame.config.ranges import Count, Natural, NotNegative, Section, require


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Section):
    """How the interactions are divided into training, validation and test. The default is leave-one-out.

    What a part's value means depends on `by`; None is the usual one.
    """

    section: ClassVar[str] = "data.split"

    by: Literal["last", "time", "files"] = "last"
    """`last`: the last items of each user; `time`: the same times for all users; `files`: each part is a file."""
    validation: float | str | None = None
    """`last`: a number of items (1). `time`: a share of the interactions (0.1), or the time when the part begins, such as
    2024-01-05. `files`: the file."""
    test: float | str | None = None
    """As `validation`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for part, value in self.parts.items():
            if value is None and self.by != "files":
                value = {"last": 1, "time": 0.1}[self.by]
            elif self.by == "last":
                lowest = int(part == "test")
                whole = isinstance(value, int | float) and value == int(value) and value >= lowest
                require(
                    whole, f"data.split.{part}", value, f"must be a whole number of at least {lowest} with by: last"
                )
                value = int(value)  # type: ignore[arg-type]  # it is a number
            elif self.by == "time" and not isinstance(value, str):
                rule = "must be a share between 0 and 1, a time, or a date such as 2024-01-05 with by: time"
                require(isinstance(value, int | float) and value > 0, f"data.split.{part}", value, rule)
            elif self.by == "files":
                good = isinstance(value, str) or (value is None and part == "validation")
                require(good, f"data.split.{part}", value, "must name a file with by: files")
            object.__setattr__(self, part, value)
        shares = [value for value in self.parts.values() if isinstance(value, float) and value < 1]
        if self.by == "time":
            require(sum(shares) < 1, "data.split", sum(shares), "the shares leave nothing for training")

    @property
    def leave_one_out(self) -> bool:
        """Whether the last item is for test, and the one before it for validation."""
        return (self.by, self.validation, self.test) == ("last", 1, 1)

    @property
    def shortest(self) -> int:
        """Fewest interactions of a user."""
        return 1 + int(self.validation) + int(self.test) if self.by == "last" else 1  # type: ignore[arg-type]

    def __str__(self) -> str:
        if self.leave_one_out:
            return "leave-one-out"
        if self.by == "files":
            return "files"
        shown = {part: value if isinstance(value, str) else f"{value:.15g}" for part, value in self.parts.items()}
        return f"{self.by}, " + ", ".join(f"{part} {value}" for part, value in shown.items())

    @property
    def parts(self) -> dict[str, float | str | None]:
        """The values of validation and test."""
        return {"validation": self.validation, "test": self.test}


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Where the interactions come from and how they are prepared.

    The dataset's recipe fills preparation fields that are None. So the configuration of a loaded dataset, and of every
    exported experiment, has all of them.
    """

    section: ClassVar[str] = "data"

    name: str = "ml-latest-small"
    """Registered dataset, or, with `path`, the name to give to own data."""
    dir: str | None = None
    """Folder with the published archive or the prepared `NAME/interactions.csv.gz`."""
    path: str | None = None
    """Own interactions (docs/DATA.md): CSV, TSV, Parquet or JSON; a file, folder, glob, `s3://` or `gs://` address, or
    several of them with commas in between."""
    columns: dict[str, str] | None = None
    """Column of `path` for each role, by name or number: user, item, time and, optionally, rating."""
    separator: str | None = None
    """The separator of columns in delimited text; None: the reader finds it out."""
    encoding: str | None = None
    """Text encoding of `path` and `items`; None is UTF-8, or what the file's first bytes say."""
    where: str | None = None
    """Keep the rows of `path` for which this SQL condition holds, such as `event = 'purchase'`."""
    mixed_times: Literal["refuse", "convert"] = "refuse"
    """Times of more than one unit in one column: an error, or converted by their size."""
    time_format: str | None = None
    """How the times of `path` are written, such as `%d.%m.%Y %H:%M` (Python's strptime); None is ISO, or a number."""
    items: str | None = None
    """Own item table with an id column, text and facet columns."""
    item_id: str | None = None
    """Column of `items` that holds the ids, by name or number; None is the one with a usual name."""
    size: dict[str, int] | None = None
    """Size of a generated dataset (`users`, `items`, …); only for datasets that are generated."""
    recipe: str | None = None
    """Named preparation of the dataset; None is the dataset's first one."""
    min_rating: NotNegative | None = None
    """Keep interactions with at least this rating; 0 keeps all."""
    core: Count | None = None
    """Iterated k-core: every user and item keeps at least this many interactions; 1 is off."""
    min_history: Count | None = None
    """Drop users with fewer interactions (leave-one-out needs 3)."""
    max_history: Natural | None = None
    """Drop users with more interactions; 0 is no limit."""
    repeats: Literal["keep", "drop"] | None = None
    """Repeated user-item pairs: keep all, or only the first of each."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Division of the interactions into training, validation and test."""
    max_length: Count = 50
    """T: the most recent items of a history that a model sees."""
    fingerprint: str | None = None
    """Content of the prepared data; when given, loading anything else is an error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_history is not None:
            lowest = self.split.shortest
            rule = f"must be at least {lowest} ({FEWEST if self.split.leave_one_out else f'data.split: {self.split}'})"
            require(self.min_history >= lowest, "data.min_history", self.min_history, rule)
        if self.max_history is not None:
            lowest = self.min_history or self.split.shortest
            require(
                self.max_history == 0 or self.max_history >= lowest,
                "data.max_history",
                self.max_history,
                f"must be 0 (no limit) or at least data.min_history = {lowest}",
            )
        if self.path is None:
            for key in ("columns", "separator", "encoding", "where", "time_format", "items"):
                require(getattr(self, key) is None, f"data.{key}", getattr(self, key), "needs data.path (own data)")
            require(self.split.by != "files", "data.split.by", self.split.by, "needs data.path (the training part)")
        if self.items is None:
            named = sorted({"title", "item_id"} & (self.columns or {}).keys())
            require(not named, f"data.columns.{'/'.join(named)}", self.columns, "needs data.items (own item table)")
            require(self.item_id is None, "data.item_id", self.item_id, "needs data.items (own item table)")


FEWEST = "one interaction each for training, validation and test"
"""Why leave-one-out needs three interactions of a user."""
