"""Pictures of pages with at most 256 colours: a third of the bytes, and no difference that anybody sees.
May import: Playwright."""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence

from playwright.sync_api import Page

COLOURS = 256
KEPT = 96
# The browser decodes what it has made; an empty page has no policy that would forbid it.
_DECODE = """async (text) => {
  const picture = await createImageBitmap(await (await fetch('data:image/png;base64,' + text)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  const bytes = context.getImageData(0, 0, picture.width, picture.height).data, parts = [];
  for (let at = 0; at < bytes.length; at += 32768) parts.push(String.fromCharCode(...bytes.subarray(at, at + 32768)));
  return btoa(parts.join(''));
}"""


def shrink(empty: Page, png: bytes) -> bytes:
    """The same picture as a PNG with a palette (PNG, second edition, section 11.2.3). `empty` is a blank page."""
    width, height = struct.unpack(">II", png[16:24])
    pixels = memoryview(b64decode(empty.evaluate(_DECODE, b64encode(png).decode()))).cast("I")
    colours, index = _choose(Counter(pixels))
    rows = (bytes(index[pixel] for pixel in pixels[y * width : (y + 1) * width]) for y in range(height))
    data = b"".join(b"\0" + row for row in rows)
    palette = b"".join(struct.pack("<I", colour)[:3] for colour in colours)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    )
    return png[:8] + b"".join(_chunk(kind, content) for kind, content in parts)


def _choose(counts: Counter[int]) -> tuple[Sequence[int], dict[int, int]]:
    """The colours to keep, and for each colour the place of the one that stands for it.

    The most common ones stay as they are: surfaces, texts, lines. Of the rest, some stand for all that differ in their
    last bits only. Each colour becomes the nearest of those.
    """
    ordered = [colour for colour, _ in counts.most_common()]
    kept, rest = ordered[:KEPT], ordered[KEPT:]
    for bits in range(8):
        mask = 0x01010101 * (0xFF << bits & 0xFF)
        groups: dict[int, int] = {}
        for colour in rest:
            groups.setdefault(colour & mask, colour)
        if len(groups) <= COLOURS - KEPT:
            break
    chosen = [*kept, *groups.values()]
    index = {colour: place for place, colour in enumerate(chosen)}
    parts = [_parts(colour) for colour in chosen]
    return chosen, {**{colour: _nearest(_parts(colour), parts) for colour in rest}, **index}


def _parts(colour: int) -> tuple[int, int, int]:
    return colour & 0xFF, colour >> 8 & 0xFF, colour >> 16 & 0xFF


def _nearest(wanted: tuple[int, int, int], parts: Sequence[tuple[int, int, int]]) -> int:
    red, green, blue = wanted
    distances = [(r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2 for r, g, b in parts]
    return distances.index(min(distances))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
