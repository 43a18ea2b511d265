"""Files that somebody might send to break something, built by code: pictures that lie, that never end, that start programs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

__all__ = ["POSTSCRIPT", "chunk", "corpus", "in_format", "png", "with_text"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n(%pipe%touch ran) (w) file\nshowpage\n%%EOF\n"

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
OTHERS = ("EPS", "PDF", "DDS", "SPIDER", "PCX", "SGI", "TGA", "ICO", "ICNS", "IM", "MSP", "XBM", "JPEG2000", "BLP", "DIB", "QOI")
"""Formats of PIL's that nobody sends as a photo."""


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def png(
    width: int,
    height: int,
    depth: int = 8,
    color: int = 2,
    chunks: Iterable[bytes] = (),
    rows: bytes | None = None,
    after: Iterable[bytes] = (),
) -> bytes:
    """A PNG that claims a size.

    Args:
        depth, color: bits of a sample, and PNG's number for what the samples are: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
        chunks: before the pixels.
        rows: the pixels before compression; a few zeros, which is too little, when left out.
        after: chunks behind the pixels.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    packed = zlib.compress(b"\0" * 64 if rows is None else rows, 9)
    return b"".join([SIGNATURE, chunk(b"IHDR", header), *chunks, chunk(b"IDAT", packed), *after, chunk(b"IEND")])


def in_format(name: str, mode: str = "RGB", **options: object) -> bytes:
    """A small picture in one of PIL's formats; b"" where PIL cannot write it."""
    buffer = io.BytesIO()
    image = Image.fromarray(PIXELS).resize((64, 64) if name in ("ICNS", "ICO") else (6, 4)).convert(mode)
    try:
        image.save(buffer, format=name, **options)
    except (KeyError, OSError, ValueError):
        return b""
    return buffer.getvalue()


def with_text(text: str, key: str = "dragonkit", size: tuple[int, int] = (6, 4), compressed: bool = False) -> bytes:
    """A PNG with text in its metadata."""
    buffer, info = io.BytesIO(), PngInfo()
    info.add_itxt(key, text, zip=compressed)
    Image.new("RGB", size).save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def corpus() -> dict[str, bytes]:
    """By what each is: files of a few kB at most."""
    good = png(6, 4, rows=b"".join(b"\0" + row.tobytes() for row in PIXELS))
    grey = b"".join(b"\0" + bytes(row) for row in np.eye(4, 6, dtype=np.uint8) * 255)
    frame = struct.pack(">IIIIIHHBB", 0, 99, 99, 9, 9, 1, 1, 0, 0)
    files = {
        "a good PNG": good,
        "nothing": b"",
        "text": b"dear diary",
        "PostScript": POSTSCRIPT,
        "PostScript behind a binary header": b"\xc5\xd0\xd3\xc6"
        + struct.pack("<6I", 30, len(POSTSCRIPT), 0, 0, 0, 0)
        + b"\0\0"
        + POSTSCRIPT,
        "a PNG of 13,300 x 13,300, one bit": png(13_300, 13_300, 1, 0),
        "a PNG of 60,000 x 60,000": png(60_000, 60_000),
        "a PNG of 2**31 - 1 a side": png(2**31 - 1, 2**31 - 1, 16, 6),
        "a PNG of 14 x 7,208,972, 16 bits": png(14, 7_208_972, 16, 0),
        "a PNG of 11,000 x 11,000, 16 bits RGBA": png(11_000, 11_000, 16, 6),
        "a PNG of 0 x 4": png(0, 4),
        "a PNG with too few pixels": png(6, 4),
        "a PNG with a palette missing": png(6, 4, 8, 3),
        "a PNG with a bad depth": png(6, 4, 7, 2),
        "a PNG with a bad filter": png(6, 4, rows=b"\x09" + bytes(18) + b"\xff" * 57),
        "a PNG with two headers": SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 8, 0, 0, 0, 0)) + png(9000, 9000)[8:],
        "a PNG with a header cut off": SIGNATURE + chunk(b"IHDR", b"\0\0\0\6"),
        "a PNG whose chunk has no end": SIGNATURE + b"\x7f\xff\xff\xffIHDR",
        "a PNG without an end": good[:-12],
        "a PNG with a profile that is none": png(6, 4, chunks=[chunk(b"iCCP", b"p\0")], rows=grey * 3),
        "a PNG with an empty profile": png(6, 4, chunks=[chunk(b"iCCP")], rows=grey * 3),
        "a PNG with a profile behind it": png(6, 4, 8, 0, rows=grey, after=[chunk(b"iCCP", b"\0")]),
        "a PNG with a profile that swells": png(6, 4, chunks=[chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 22), 9))]),
        "a PNG with text that swells": png(6, 4, chunks=[chunk(b"zTXt", b"dragonkit\0\0" + zlib.compress(bytes(1 << 22), 9))]),
        "a PNG with text that is none": png(6, 4, 8, 0, [chunk(b"iTXt", b"dragonkit\0\1\0\0\0\xff\xfe")], grey),
        "a PNG with EXIF that is none": png(6, 4, 8, 0, [chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)], grey),
        "a PNG turned on its side, and more": png(6, 4, 8, 0, [chunk(b"eXIf", _orientation(0xFFFF))], grey),
        "a PNG with transparency that is none": png(6, 4, 8, 0, [chunk(b"tRNS", b"\0")], grey),
        "a PNG with frames that do not fit": png(6, 4, 8, 0, [chunk(b"acTL", struct.pack(">II", 9, 0)), chunk(b"fcTL", frame)], grey),
        "a PNG with a density of nothing": png(6, 4, 8, 0, [chunk(b"pHYs", b"\0" * 9)], grey),
        "a TIFF that goes round in circles": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "a TIFF with a tag beyond the file": b"II*\0\x08\0\0\0\x01\0\0\1\3\0\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0",
        "a GIF of nothing": b"GIF89a\0\0\0\0\0\0\0;",
        "a GIF of 65,535 a side": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;",
        "a BMP of negative height": b"BM" + struct.pack("<IHHIIiiHHIIIIII", 58, 0, 0, 54, 40, 6, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
        "a PPM of 10**9 a side": b"P6 1000000000 1000000000 255\n" + bytes(9),
        "a PPM of letters": b"P3 2 2 255\nlots of words\n",
        "a WebP without a picture": b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bytes(12),
        "an AVIF without a picture": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(20),
        "a DDS of a kind that is not known": b"DDS "
        + struct.pack("<7I", 124, 0x1007, 4, 6, 0, 0, 0)
        + bytes(44)
        + b"\x20\0\0\0\4\0\0\0????"
        + bytes(64),
        "a SPIDER picture": b"".join(struct.pack(">f", number) for number in (1, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, 4, 0)) + bytes(400),
        "a JPEG with EXIF that is none": _jpeg_with(b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20)),
        "a JPEG with pictures behind it that are none": _jpeg_with(b"MPF\0MM\0*\0\0\0\x08" + b"\xff" * 20, marker=b"\xff\xe2"),
    }
    ring, cut = Image.new("L", (6, 4)), Image.fromarray(PIXELS).resize((6, 4)).convert("RGBA")
    ring.paste(255, (1, 1, 4, 3))
    cut.putalpha(ring)
    soft, paint = ring.reduce(2).resize((6, 4)), ImageOps.colorize(ring, "black", "red")
    for name, mask in (("mask", ring), ("soft mask", soft), ("painted mask", paint), ("cut-out", cut)):
        files |= {f"a {name} as {kind}": _saved(mask, kind) for kind in ("PNG", "TIFF", "WEBP")}
    for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF"):
        data = in_format(name)
        files |= {f"a good {name}": data, f"half a {name}": data[: len(data) // 2], f"a {name} with a bad end": data[:-9] + b"\xff" * 9}
    files |= {f"a good {name}": in_format(name, "1" if name in ("MSP", "XBM") else "F" if name == "SPIDER" else "RGB") for name in OTHERS}
    return files


def _saved(image: Image.Image, name: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=name)
    return buffer.getvalue()


def _orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def _jpeg_with(segment: bytes, marker: bytes = b"\xff\xe1") -> bytes:
    data = in_format("JPEG")
    return data[:2] + marker + struct.pack(">H", len(segment) + 2) + segment + data[2:]
