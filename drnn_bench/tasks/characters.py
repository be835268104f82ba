"""The next character of a text, every step scored, in bits per character.

char_text: any text file in UTF-8, `char_text:path=book.txt`: the first 90 % are training, then 5 %
validation and 5 % test. A byte-order mark is dropped and line ends are made \\n.

char_ptb: Penn Treebank in Mikolov's preprocessing, `ptb.train.txt`, `ptb.valid.txt` and
`ptb.test.txt` in --data-dir: the word form, or the character form (`ptb.char.*.txt`, characters
separated by spaces, a space written _), plain or gzipped; both give the same characters. Its text
is licensed by the LDC: nothing of it is shipped. From the hub: `ptb-text-only/ptb_text_only`.

Protocol: the vocabulary is built on the training text; a character that it lacks becomes one more
symbol, `unknown`, where there is any. Training runs along 128 (the batch) contiguous streams in
chunks of `length`, the state carried over. The search validates on the first 20,000 characters of
the validation text; finals are scored on the whole validation and the whole test text, each as one
stream.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import check_memory, gunzipped
from drnn_bench.tasks.sources import (
    PARQUET,
    find,
    from_hub,
    recorded_name,
)
from drnn_bench.tasks.task import (
    LONGEST,
    SPLITS,
    Arrays,
    Reading,
    Task,
    check_range,
)

PTB_HUB = "ptb-text-only/ptb_text_only"
PTB_PARTS = {"train": "train", "validation": "valid", "test": "test"}
MOST_SYMBOLS = 2**16  # uint16 holds their numbers
SMALLEST = 1_000  # characters in each part


@dataclass(frozen=True, kw_only=True)
class _Characters(Task):
    length: int = 100  # pyright: ignore[reportIncompatibleMethodOverride]

    version: ClassVar[int] = 1
    metric: ClassVar[str] = "bits_per_character"
    stream: ClassVar[bool] = True
    prefix: ClassVar[int] = 20_000
    scored: ClassVar[int | None] = None
    one_hot: ClassVar[bool] = True
    default_budget: ClassVar[int] = 60_000
    default_steps: ClassVar[int] = 3_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "length", 1, LONGEST)


@dataclass(frozen=True, kw_only=True)
class CharPTB(_Characters):
    name: ClassVar[str] = "char_ptb"
    licence: ClassVar[str] = "Penn Treebank's text is licensed by the LDC (LDC99T42)"
    summary: ClassVar[str] = "Penn Treebank, the next character (option length)"
    input_size: ClassVar[int] = 50
    output_size: ClassVar[int] = 50

    def read(self, data_dir: str | None) -> Reading:
        texts = _ptb_from_hub() if data_dir is None else _ptb_from_folder(Path(data_dir))
        alphabet, arrays = encode(texts)
        if len(alphabet) != self.input_size:
            where = data_dir or PTB_HUB
            raise UserError(
                f"{where}: {len(alphabet)} different characters, Penn Treebank has 50; "
                "for another text use char_text:path=FILE"
            )
        return Reading(self, arrays, facts={"alphabet": alphabet})


@dataclass(frozen=True, kw_only=True)
class CharText(_Characters):
    path: str | None = field(default=None, metadata={"path": True})
    text: str | None = field(default=None, metadata={"learned": True})  # the file's name
    alphabet: int | None = field(default=None, metadata={"learned": True, "quiet": True})

    name: ClassVar[str] = "char_text"
    licence: ClassVar[str] = "that of the text, which is the user's own"
    summary: ClassVar[str] = "any UTF-8 text, the next character (options path, length)"

    @property
    def input_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        if self.alphabet is None:
            raise UserError("task char_text: name the text: --task char_text:path=FILE")
        return self.alphabet

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.input_size

    def read(self, data_dir: str | None) -> Reading:
        if self.path is None:
            raise UserError("task char_text: name the text: --task char_text:path=FILE")
        path = find(Path(data_dir or ".") / self.path)
        text = _text(path)
        first, second = len(text) * 90 // 100, len(text) * 95 // 100
        texts = {"train": text[:first], "validation": text[first:second], "test": text[second:]}
        for part, content in texts.items():
            if len(content) < SMALLEST:
                raise UserError(
                    f"{path}: {len(text)} characters leave {len(content)} for {part}, "
                    f"at least {SMALLEST:,} are needed: a text of {20 * SMALLEST:,} will do"
                )
        alphabet, arrays = encode(texts)
        learned = replace(self, text=recorded_name(path), alphabet=len(alphabet))
        notes = (f"{len(text):,} characters", *_strangers(texts))
        return Reading(learned, arrays, notes, {"alphabet": alphabet})


def encode(texts: dict[str, str]) -> tuple[list[str | None], Arrays]:
    """The alphabet of the training text, with None for `unknown` where the other parts have
    characters of their own; and for each part its characters but the last, and their successors.
    """
    known = set(texts["train"])
    alphabet: list[str | None] = [*sorted(known)]
    if any(not set(text) <= known for text in texts.values()):
        alphabet.append(None)
    if len(alphabet) > MOST_SYMBOLS:
        raise UserError(
            f"the text has {len(alphabet):,} kinds of characters; at most {MOST_SYMBOLS:,} are read"
        )
    kind = np.uint8 if len(alphabet) <= 256 else np.uint16
    codes = {character: i for i, character in enumerate(alphabet)}
    arrays = {}
    for part in SPLITS:
        row = np.array([codes.get(c, len(alphabet) - 1) for c in texts[part]], dtype=kind)
        arrays[part] = (row[:-1], row[1:])
    return alphabet, arrays


def _strangers(texts: dict[str, str]) -> list[str]:
    """Notes on characters that the training text lacks."""
    known = set(texts["train"])
    kinds = set(texts["validation"] + texts["test"]) - known
    if not kinds:
        return []
    shares = (f"{sum(c not in known for c in texts[s])} in {s}" for s in ("validation", "test"))
    return [
        f"{len(kinds)} kinds of characters are not in the training text and are read as one "
        f"symbol, unknown: {' and '.join(shares)}"
    ]


def _text(path: Path) -> str:
    """A text file, plain or gzipped, without byte-order mark and with \\n for line ends."""
    if path.is_char_device():  # /dev/zero has no end
        raise UserError(f"text {path}: is no file")
    try:
        check_memory(path.stat().st_size, f"text {path}", "read a part of it")
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gunzipped(raw, path)
        text = raw.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from None
    except OSError as error:
        raise UserError(f"text {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 at byte {error.start}; convert it first "
            f"(iconv -f latin1 -t utf-8, if it is Latin-1)"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _ptb_from_folder(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist (--data-dir)")
    for form, unspell in (("ptb.", _words_form), ("ptb.char.", _character_form)):
        paths = {}
        for part, word in PTB_PARTS.items():
            names = (f"{form}{word}.txt", f"{form}{word}.txt.gz")
            paths[part] = next((folder / n for n in names if (folder / n).is_file()), None)
        if all(paths.values()):
            return {part: unspell(_text(path)) for part, path in paths.items()}
    raise UserError(
        f"data folder {folder} lacks ptb.train.txt, ptb.valid.txt and ptb.test.txt (or "
        f"ptb.char.*.txt): Mikolov's preprocessing of Penn Treebank; without --data-dir the hub's "
        f"{PTB_HUB} is used"
    )


def _words_form(text: str) -> str:
    """Lines of words -> characters: single spaces between words, \\n at the end of a line."""
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines() if line.strip())


def _character_form(text: str) -> str:
    """Characters separated by spaces, a space written _."""
    return _words_form(
        "\n".join("".join(line.split()).replace("_", " ") for line in text.splitlines())
    )


def _ptb_from_hub() -> dict[str, str]:
    texts = {}
    for part in SPLITS:
        rows = from_hub(PTB_HUB, part, ("sentence",), PARQUET)
        texts[part] = _words_form("\n".join(row["sentence"] for row in rows))
    return texts
