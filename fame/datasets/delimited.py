"""Delimited text: CSV, TSV and their relatives. Arrow parses; what the file does not say is found from its beginning.

Values are read as text, so that ids come out as they were written ("007" stays "007"). Separator, quoting, encoding and
header are guessed from the first 64 KiB; a guess that the file's suffix does not say is a note.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fame.datasets.places import DataFile
from fame.datasets.tables import MISSING_WORDS, Table, clear_errors, unique_labels
from fame.datasets.times import looks_like_time
from fame.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 16 << 20
HEAD_BYTES = 1 << 16
SAMPLE_ROWS = 100
SEPARATORS = {
    ",": "commas",
    "\t": "tabs",
    ";": "semicolons",
    "|": "vertical bars",
    "::": "double colons",
    "\x01": "control-A characters",
}
"""Separators that are guessed, the usual ones first."""
NAMED = {**SEPARATORS, " ": "blanks"}
"""What each separator is called."""
SPELLED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "bar": "|", "space": " "}
"""Other ways to write a separator on a command line."""
TYPED_NAME = re.compile(r"(?P<name>[^:]+):(?P<kind>token|token_seq|float|float_seq)")
"""A column name of RecBole's atomic files."""
SAME_SHARE = 0.9
"""Share of the first rows that must have as many fields as the header for a separator to fit."""
UTF8 = "utf8"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user says about delimited files; None: to be found out."""

    separator: str | None = None
    encoding: str | None = None
    time_position: int | None = None
    """Position of the time where every column is given by number: then the file may have no header."""


def checked_separator(text: str) -> str:
    """A separator as it is meant. Raises `UserError` unless it is one."""
    separator = SPELLED.get(text.lower(), text)
    if separator != "::" and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n\0'):
        raise UserError(
            f"data.separator = {text!r}: must be one character, '::', or one of tab, comma, semicolon, pipe, space"
        )
    return separator


def checked_encoding(text: str) -> str:
    """An encoding that Python knows. Raises `UserError` for any other."""
    try:
        "a".encode(text)
    except (LookupError, UnicodeError, ValueError):
        raise UserError(
            f"data.encoding = {text!r}: is no known text encoding; use for example utf-8, latin-1, cp1252 or utf-16"
        ) from None
    return text


def open_delimited(file: DataFile, usual: str, reading: Reading) -> Table:
    """The table in a delimited file; `usual` is the separator that its suffix says."""
    expected = "TSV" if usual == "\t" else "CSV"
    with clear_errors(file.name, expected):
        with file.stream() as stream:
            head = stream.read(HEAD_BYTES)
        text, encoding = _decode(file, head, reading.encoding, expected)
    skip, text, stated = _skip_beginning(text)
    if not text.strip():
        raise UserError(f"{file.name} is empty; it needs a header line and rows")
    separator = reading.separator or stated or _guess_separator(text, usual)
    width = len(_sample(text, separator, True)[0])
    escape = _escape(text, separator, width)
    quoted = escape is not None or _is_quoted(text, separator, width)
    rows = _sample(text, separator, quoted, escape)
    names = [_bare(name) for name in rows[0]]
    if len(rows) > 1 and all(len(row) == len(names) + 1 for row in rows[1:]):
        # R leaves the row names' column without a name; a separator at the end of each row makes a nameless one, too
        names = [*names, ""] if all(row[-1] == "" for row in rows[1:]) else ["", *names]
    headless = _is_headless(names, reading.time_position)
    notes = []
    if escape is not None:
        notes.append(f"{file.name}: quotation marks within fields are written after a backslash")
    if separator != (reading.separator or usual):
        notes.append(f"{file.name}: columns are separated by {NAMED.get(separator, repr(separator))}")
    if encoding != (reading.encoding or UTF8):
        notes.append(f"{file.name}: read as {encoding}")
    table = csv_table(
        file.name,
        file.stream,
        delimiter=separator[0],
        doubled=separator == "::",
        header=[str(number) for number in range(1, len(names) + 1)] if headless else names,
        skip=skip + (0 if headless else _header_lines(text, separator, quoted)),
        encoding=encoding,
        quoted=quoted,
        escape=escape,
        own=file,
    )
    typed = [TYPED_NAME.fullmatch(name) for name in names]
    lists = frozenset()
    if all(typed):
        lists = frozenset(match["name"] for match in typed if match["kind"].endswith("_seq"))
    elif not headless and len(rows) > 1:
        lists = frozenset(n for n, cell in zip(table.columns, rows[1], strict=False) if _is_list(cell))
    return Table(
        name=file.name,
        columns=table.columns,
        read=table.read,
        lists=lists,
        repeated=frozenset(name for name in names if name and names.count(name) > 1),
        headless=", ".join(names) if headless else "",
        blanks=True,
        notes=tuple(notes),
    )


def csv_table(
    name: str,
    opener: Callable[[], Any],
    *,
    delimiter: str = ",",
    doubled: bool = False,
    header: list[str] | None = None,
    skip: int = 0,
    encoding: str = UTF8,
    quoted: bool = True,
    escape: str | None = None,
    own: DataFile | None = None,
) -> Table:
    """A delimited text table. `header` names the columns of a file that does not do so itself.

    `doubled` says that the separator is the delimiter twice, `escape` which character stands before marks in fields. A file of the user's is `own`: there unquoted words such as
    NULL are missing values, and quoted fields that hold line ends are looked at.
    """
    expected = "TSV" if delimiter == "\t" else "CSV"
    if header is None:
        with clear_errors(name, expected):
            header, skip = _read_header(name, opener, delimiter, encoding, expected), 1
    labels = unique_labels([_untyped(name) for name in header])
    # Arrow's delimiter is one character: "::" is read as ":" with an empty column in between
    names = [part for label in labels for part in (label, f"\0{label}")][:-1] if doubled else labels

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        rows = 0
        with clear_errors(name, expected), opener() as stream:
            lines = _LineCounter(stream)
            try:
                for batch in arrow_csv.open_csv(
                    lines if own and quoted else stream,
                    read_options=arrow_csv.ReadOptions(
                        block_size=BLOCK_BYTES, column_names=names, skip_rows=skip, encoding=encoding
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=delimiter,
                        quote_char='"' if quoted else False,
                        escape_char=escape or False,
                        newlines_in_values=quoted,
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types={c: pa.string() for c in columns},
                        include_columns=list(columns),
                        null_values=_missing_words(escape) if own else None,
                        strings_can_be_null=own is not None,
                        quoted_strings_can_be_null=False,
                    ),
                ):
                    rows += batch.num_rows
                    yield batch
            except pa.ArrowInvalid as error:
                if own and "invalid UTF8" in str(error):
                    raise not_utf8(own, expected) from None
                if own and quoted:
                    _check_line_ends(name, opener, delimiter, encoding, escape)
                raise
        if own and quoted and lines.count > rows + skip:
            _check_line_ends(name, opener, delimiter, encoding, escape)

    return Table(name=name, columns=labels, read=read)


def _missing_words(escape: str | None) -> list[str]:
    """Words that stand for no value. Arrow takes the backslash of an escaped `\\N` away."""
    return [*MISSING_WORDS, *(["N"] if escape else [])]


def _untyped(name: str) -> str:
    """A column name of RecBole's atomic files without its type."""
    return match["name"] if (match := TYPED_NAME.fullmatch(name)) else name


def _bare(name: str) -> str:
    """A column name without the blanks around it, and without marks that follow a blank."""
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _read_header(name: str, opener: Callable[[], Any], delimiter: str, encoding: str, expected: str) -> list[str]:
    """The column names of a published file."""
    with opener() as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise UserError(f"{name} is empty; it needs a header line and rows")
    line = head.partition(b"\n")[0]
    if b"\0" in head or (len(line) == len(head) == HEAD_BYTES):
        raise _not_text(name, expected)
    return next(csv.reader(io.StringIO(line.removeprefix(codecs.BOM_UTF8).decode(encoding)), delimiter=delimiter))


def _not_text(name: str, expected: str) -> UserError:
    return UserError(f"cannot read {name} as {expected}: it does not look like text; check that it is the right file")


def _decode(file: DataFile, head: bytes, encoding: str | None, expected: str) -> tuple[str, str]:
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
            raise _not_text(file.name, expected) from None
        if not head.lstrip().partition(b"\n")[0].isascii():
            raise not_utf8(file, expected) from None
        text = head.decode("latin-1")  # the columns that are needed may be plain all the same
    text = text.removeprefix("\ufeff")
    if "\0" in text or (len(head) == HEAD_BYTES and not re.search(r"[\r\n]", text)):
        raise _not_text(file.name, expected)
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


def _skip_beginning(text: str) -> tuple[int, str, str | None]:
    """How many lines come before the header, the text from there on, and the separator that Excel's first line names."""
    skip, separator = 0, None
    while match := re.match(r"[^\S\r\n]*(?:\"?sep=(?P<separator>.)\"?)?[^\S\r\n]*(?:\r\n|\n|\r)", text):
        separator = match["separator"] or separator
        skip, text = skip + 1, text[match.end() :]
        if not text:
            break
    return skip, text, separator


def _header_lines(text: str, separator: str, quoted: bool) -> int:
    """How many lines the header has: more than one where a quoted name holds line ends."""
    if not quoted or len(separator) > 1:
        return 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(reader)
    return reader.line_num


def _sample(text: str, separator: str, quoted: bool, escape: str | None = None) -> list[list[str]]:
    """The first rows, split into fields; a row that the beginning of the file cuts off is left out."""
    if quoted and len(separator) == 1:
        rows = []
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape):
                rows += [row] if row else []
                if len(rows) > SAMPLE_ROWS:
                    break
        except csv.Error:
            pass
    else:
        lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
        rows = [line.split(separator) for line in lines[: SAMPLE_ROWS + 1]]
    whole = len(text) < HEAD_BYTES // 4 or len(rows) > SAMPLE_ROWS
    return (rows if whole or len(rows) < 3 else rows[:-1]) or [[text[:80]]]


def _guess_separator(text: str, usual: str) -> str:
    """The suffix's separator if it fits the first rows, else the one that makes most columns, at last a blank."""
    fitting = {separator: width for separator in (usual, *SEPARATORS) if (width := _fitting_width(text, separator))}
    if usual in fitting:
        return usual
    if not fitting:
        return " " if _fitting_width(text, " ") else usual
    # "::" splits by ":" as well, never the other way round
    return max(fitting, key=lambda separator: (fitting[separator], len(separator)))


def _fitting_width(text: str, separator: str) -> int:
    """How many columns a separator makes, 0 if it makes one or the rows differ."""
    rows = _sample(text, separator, True)
    width = len(rows[0])
    same = sum(len(row) in (width, width + 1) for row in rows[1:])
    return width if width > 1 and same >= SAME_SHARE * (len(rows) - 1) else 0


def _is_quoted(text: str, separator: str, width: int) -> bool:
    """Whether quotation marks around fields are marks, and not text of a field."""
    if len(separator) > 1:
        return False
    opened = re.search(rf'(?:^|[\r\n]|{re.escape(separator)})"', text)
    if not opened:
        return separator != "\t"  # a mark may come later: in CSV it is one, in TSV a character
    fits = _fits_quoted(text, separator, width)
    if separator == "\t" or fits:
        return fits
    plain = _sample(text, separator, False)
    return any(len(row) != width for row in plain)


def _escape(text: str, separator: str, width: int) -> str | None:
    """The backslash where marks within quoted fields stand after one, as MySQL writes them, instead of being doubled."""
    if len(separator) > 1 or '\\"' not in text or _fits_quoted(text, separator, width):
        return None
    return "\\" if _fits_quoted(text, separator, width, "\\") else None


def _fits_quoted(text: str, separator: str, width: int, escape: str | None = None) -> bool:
    """Whether the marks pair up so that every row has all fields and none has swallowed the next row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, escapechar=escape, strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in reader if row)
    except csv.Error as error:
        cut = "unexpected end of data" in str(error) and len(text) > HEAD_BYTES // 2
        if not cut:
            return False
    if len(text) > HEAD_BYTES // 2:
        rows = rows[:-1]
    return all(
        len(row) in (width, width + 1) and not any(swallowed(field, k, separator) for k, field in enumerate(row))
        for row in rows
    )


def swallowed(field: str, position: int, separator: str) -> bool:
    """Whether a field looks like the rest of one row and the beginning of the next.

    It does where the mark that ends it begins the same field of a later row.
    """
    before, line_end, last = field.rpartition("\n")
    if not line_end:
        return False
    if position == 0:
        return last == "" and separator in before
    return last.endswith(separator) and last.count(separator) == position


def _check_line_ends(name: str, opener: Callable[[], Any], delimiter: str, encoding: str, escape: str | None) -> None:
    """Raise `UserError` for a field that has swallowed line ends because its quotation mark is not closed."""
    begun = 1
    with opener() as stream:
        text = io.TextIOWrapper(
            io.BufferedReader(_Raw(stream), 1 << 20), encoding=encoding, errors="replace", newline=""
        )
        reader = csv.reader(text, delimiter=delimiter, escapechar=escape, strict=True)
        try:
            for row in reader:
                if any("\n" in field and swallowed(field, k, delimiter) for k, field in enumerate(row)):
                    raise _unclosed(name, begun)
                begun = reader.line_num + 1
        except csv.Error:
            raise _unclosed(name, begun) from None


def _unclosed(name: str, line: int) -> UserError:
    return UserError(
        f"{name}: a quotation mark in line {line} is not closed, so its field takes in the lines after it; close it, or "
        "write it twice inside a quoted field"
    )


def _is_headless(names: list[str], time_position: int | None) -> bool:
    """Whether the first line is a row: it has a time at its place, or nothing but numbers and times where none is known."""
    if time_position is not None:
        return time_position < len(names) and looks_like_time(names[time_position])
    filled = [name for name in names if name]
    return len(filled) > 1 and sum(map(looks_like_time, filled)) >= max(2, len(filled) - 1)


def _is_list(cell: str) -> bool:
    cell = cell.strip()
    return cell.startswith("[") and cell.endswith("]")


class _LineCounter:
    """A stream that counts the line ends that are read from it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.count = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.count += piece.count(b"\n")
        return piece

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False


class _Raw(io.RawIOBase):
    """Any stream with `read` as one that Python's text layer takes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
