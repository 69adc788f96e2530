"""Self-contained HTML pages from templates. A page is written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fame.errors import UserError
from fame.runtime.files import replaced

TEMPLATES = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """Fill a template (`compare.html`, `report.html`). All values are escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def write_page(path: Path, page: str) -> None:
    """Replace the file by the page. Raises `UserError` if it cannot be written."""
    try:
        with replaced(path) as file:
            file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; free space or choose another place") from None
