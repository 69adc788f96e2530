"""Another encoding is named, and can be said."""

from __future__ import annotations

import pytest

from fame.errors import UserError
from tests.fame.datasets.files import load, rows, text


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("latin-1", "Le Fabuleux Destin d'Amélie Poulain, déjà vu à la télé, été, Noël, garçon, forêt"),
        ("cp1251", "Война и мир, роман Льва Толстого о жизни русского общества"),
        ("shift_jis", "となりのトトロ、千と千尋の神隠し、もののけ姫"),
        ("gb18030", "红楼梦是中国古典文学的代表作品之一，西游记也是"),
    ],
)
def test_another_encoding_is_named_and_can_be_said(encoding, title, tmp_path):
    (tmp_path / "a.csv").write_text(text(rows()))
    items = tmp_path / "items.csv"
    items.write_bytes(("item,title\n" + "".join(f'{i},"{title} {i}"\n' for i in "abcd")).encode(encoding))
    with pytest.raises(UserError, match=r"items.csv: line 2 is not UTF-8; it reads as .*: add --encoding") as caught:
        load(tmp_path / "a.csv", items=str(items))
    named = str(caught.value).partition("--encoding ")[2].partition(",")[0]
    for said in (encoding, named):
        assert load(tmp_path / "a.csv", items=str(items), encoding=said)[0].items.title(1) == f"{title} a"


def test_an_encoding_that_does_not_fit_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(text(rows(ids=("é", "b", "c"))).encode("latin-1"))
    with pytest.raises(UserError, match=r"cannot read .* as ascii: the bytes do not fit"):
        load(tmp_path / "a.csv", encoding="ascii")
