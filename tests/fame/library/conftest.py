"""A shop's tables, its dataset and a model of it."""

from __future__ import annotations

import pandas as pd
import pytest

import fame
from tests.fame.library.shop import CUSTOMERS, SMALL


@pytest.fixture(scope="module", autouse=True)
def cache(module_cache: None) -> None:
    """All tests of this folder read data."""


@pytest.fixture
def clicks() -> pd.DataFrame:
    rows = [(user, item, time) for user, items in CUSTOMERS.items() for time, item in enumerate(items)]
    frame = pd.DataFrame(rows, columns=["customer", "sku", "when"])
    return frame.assign(when=pd.to_datetime(frame["when"], unit="D"), note=[1, "two"] * (len(frame) // 2))


@pytest.fixture
def products() -> pd.DataFrame:
    names = {"sku": [f"SKU-{n}" for n in range(12)], "Product Name": [f"Product {n}" for n in range(12)]}
    return pd.DataFrame({**names, "Category": ["tea", "bread"] * 6, "title": "of the supplier"})


@pytest.fixture
def data(clicks, products) -> fame.Dataset:
    roles = {"user": "customer", "item": "sku", "time": "when"}
    return fame.Dataset.from_pandas(
        clicks, **roles, items=products, title="Product Name", facets=["Category"], name="shop", core=1
    )


@pytest.fixture
def model(data) -> fame.Model:
    return fame.fit(data, progress=False, **SMALL)
