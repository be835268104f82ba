"""Corrects the sizes in the header of a wav or aiff file, which decoders rely on. They are wrong
where the program that wrote the file was stopped, or wrote to a pipe.

Such a file is 12 bytes and then chunks: 4 letters, the size of what follows, what follows, and a
byte of padding where that size is odd. The samples are one of the chunks.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# The first 4 bytes of a file -> how it writes numbers, and its chunk of samples.
KINDS: dict[bytes, tuple[Literal["little", "big"], bytes]] = {
    b"RIFF": ("little", b"data"),
    b"RIFX": ("big", b"data"),
    b"FORM": ("big", b"SSND"),
}
PIPED = 0x7FFF_0000  # who writes to a pipe cannot know the size, and promises 2 or 4 GiB
SMALLEST_CHUNK = 8  # bytes; fewer after the samples are padding


class Corrected(NamedTuple):
    raw: bytes  # the file, with a size of its samples that can be relied on
    missing: str = ""  # what the header promises and the file lacks, for a message
    beyond: int = 0  # bytes after the samples that belong to no chunk


def corrected(raw: bytes) -> Corrected:
    """A file with correct sizes; a file of another kind as it is."""
    if raw[:4] not in KINDS:
        return Corrected(raw)
    order, samples = KINDS[raw[:4]]
    place = 12
    while raw[place : place + 4] != samples:
        if place + 8 > len(raw):
            return Corrected(raw)  # the decoder says what is wrong with it
        place += 8 + _padded(int.from_bytes(raw[place + 4 : place + 8], order))
    start = place + 8
    size, there = int.from_bytes(raw[place + 4 : start], order), max(0, len(raw) - start)
    unknown = size == 0 or (size >= PIPED and size > there)
    if unknown and not _are_chunks(raw, start, order):
        size_there = min(there, PIPED).to_bytes(4, order)
        return Corrected(raw[: place + 4] + size_there + raw[start:])
    if size > there:
        missing = f"{there:,} bytes of samples, its header promises {size:,}"
        return Corrected(raw, missing=missing)
    end = start + _padded(size)
    if _are_chunks(raw, end, order) or not raw[end:].strip(b"\0"):
        return Corrected(raw)
    return Corrected(raw, beyond=len(raw) - end)


def _are_chunks(raw: bytes, place: int, order: Literal["little", "big"]) -> bool:
    """Whether whole chunks, or fewer than SMALLEST_CHUNK bytes, follow from a place to the end."""
    while len(raw) - place >= SMALLEST_CHUNK:
        if not all(0x20 <= letter < 0x7F for letter in raw[place : place + 4]):
            return False
        place += 8 + _padded(int.from_bytes(raw[place + 4 : place + 8], order))
    return place <= len(raw) + 1


def _padded(size: int) -> int:
    return size + size % 2
