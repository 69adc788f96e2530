"""Every file and folder that docs/ARCHITECTURE.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
STOPS = 8


def test_every_path_on_the_page_is_there():
    paths = re.findall(r"`((?:fame|tuning|cluster|tests)/[\w./]*)`", PAGE)
    assert len(paths) > 30
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_every_folder_of_fame_and_tuning_that_holds_code_is_on_the_page():
    for package in ("fame", "tuning"):
        folders = {f"{package}/{path.parent.name}/" for path in (ROOT / package).glob("*/__init__.py")}
        missing = {folder for folder in folders if f"`{folder}`" not in PAGE}
        assert not missing


def test_a_trip_through_the_code_has_at_most_eight_stops():
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)]
    assert max(numbers) <= STOPS
