"""The encoding of a text file: the one that it says, UTF-8, or an error that names an encoding that fits."""

from __future__ import annotations

import codecs
import re

from fame.errors import UserError
from fame.tables.places import DataFile

HEAD_BYTES = 1 << 16
UTF8 = "utf8"


def not_text(name: str, expected: str) -> UserError:
    return UserError(f"cannot read {name} as {expected}: it does not look like text; check that it is the right file")


def decode(file: DataFile, head: bytes, encoding: str | None, expected: str) -> tuple[str, str]:
    """The beginning of a file as text, and the encoding."""
    if head.startswith(b"PK\x03\x04"):
        raise UserError(
            f"cannot read {file.name} as {expected}: it is a zip archive or a workbook; unpack or export it"
        )
    if encoding is None:
        marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
        marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
        encoding = next((name for mark, name in marks.items() if head.startswith(mark)), UTF8)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeError:
        if encoding != UTF8:
            raise UserError(
                f"cannot read {file.name} as {encoding}: the bytes do not fit; leave out data.encoding, or name another"
            ) from None
        if b"\0" in head:
            raise not_text(file.name, expected) from None
        if not head.lstrip().partition(b"\n")[0].isascii():
            raise not_utf8(file, expected) from None
        text = head.decode("latin-1")  # the columns that are needed may be plain all the same
    text = text.removeprefix("\ufeff")
    if "\0" in text or (len(head) == HEAD_BYTES and not re.search(r"[\r\n]", text)):
        raise not_text(file.name, expected)
    return text, encoding


def not_utf8(file: DataFile, expected: str) -> UserError:
    """The error about the first bytes that are not UTF-8; it names an encoding that fits them."""
    decoder, line, kept = codecs.getincrementaldecoder(UTF8)(), 1, b""
    with file.stream() as stream:
        while piece := stream.read(1 << 20):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                bad = max(0, len(piece) - (len(error.object) - error.start))
                line += piece.count(b"\n", 0, bad)
                kept = piece[max(0, bad - 2_000) : bad + HEAD_BYTES]
                break
            line += piece.count(b"\n")
    fitting = _fitting_encoding(kept)
    if fitting is None:
        return UserError(
            f"cannot read {file.name} as {expected}: line {line} is not UTF-8, and no encoding fits it; "
            "check that it is the right file"
        )
    return UserError(
        f"{file.name}: line {line} is not UTF-8; it reads as {fitting}: add --encoding {fitting}, or save it as UTF-8"
    )


def _fitting_encoding(content: bytes) -> str | None:
    """Name of an encoding in which the bytes make sense as text."""
    from charset_normalizer import from_bytes

    lines = [line for line in content.split(b"\n") if not line.isascii()][:200]
    control = sum(byte < 32 and byte not in (9, 13) for line in lines for byte in line)
    if not lines or control > 0.01 * sum(map(len, lines)):
        return None
    joined = b"\n".join(lines)
    if _is_western(joined):
        return "cp1252"
    found = from_bytes(joined, cp_exclusion=["utf_7"]).best()
    return found.encoding.replace("_", "-") if found else None


def _is_western(content: bytes) -> bool:
    """Whether bytes read well in the encoding of Western Europe: mostly plain letters, and the others Latin ones."""
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return False
    letters = [character for character in text if character.isalpha()]
    others = [character for character in text if not character.isascii()]
    plain = sum(character.isascii() for character in letters)
    return plain >= 0.6 * len(letters) and all("À" <= c <= "ÿ" or c in "’‘“”–—…€£«»¿¡°®©™·œŒšŠžŽŸº ª" for c in others)
