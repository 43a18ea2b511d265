"""Picture files at the door: only named formats are tried, and no pixel is decoded before the size in the header was found bearable.

A file's name decides nothing. Formats that start other programs (PostScript), or that nobody sends as a photo, are not looked for.
"""

from __future__ import annotations

import base64
import errno
import importlib.util
import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from PIL import Image, ImageFile, UnidentifiedImageError

from dragonkit.errors import ImageError, OutOfMemoryError
from dragonkit.words import quoted

__all__ = ["EMBEDDED", "FORMATS", "MAX_PIXELS", "MAX_SIDE", "check_size", "open_file", "opened", "png_bytes", "png_size", "text_in_png"]

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM") + (("AVIF",) if importlib.util.find_spec("PIL.AvifImagePlugin") else ())
"""What a picture file may be."""
EMBEDDED = ("PNG",)
"""What pictures and masks inside an edit file may be."""
MAX_PIXELS = 128_000_000  # above any camera in common use; a small file can claim far more and fill the memory
MAX_SIDE = 65_535  # the longest that a JPEG can be; rows or columns in millions take a decoder seconds

_DATA = "data:image/png;base64,"
_PNG = b"\x89PNG\r\n\x1a\n"
_STARTS = (_PNG, b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*", b"GIF8")
"""How pictures begin, those of `EMBEDDED` first."""
_HEADER = 24  # bytes of a PNG up to its height, the signature included


@contextmanager
def opened(source: str | os.PathLike[str] | bytes, what: str, formats: Sequence[str] = FORMATS) -> Iterator[ImageFile.ImageFile]:
    """A picture file, or its bytes, with the header read and nothing decoded; the file is closed when the block ends.

    Args:
        what: names it in errors, such as "the picture 'a.png'".
        formats: names of PIL's.

    Raises:
        ImageError: there is no such file, it is of another format or damaged, or it is larger than `MAX_PIXELS` or `MAX_SIDE` allow.
        OutOfMemoryError: reading it takes more memory than there is.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else _picture_file(source, what) as stream:
        yield _header(stream, what, formats)


def open_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """An ordinary file, open for reading. OSError for anything else: a pipe or a device may never end, or never begin."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # "\0" in it, or text that no file system can hold
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from error
    try:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_size(size: tuple[int, int], what: str) -> None:
    """ImageError unless a picture of (width, height) can be borne."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{what} is {width}x{height} and holds no pixels. Pass a picture of at least 1x1 pixels.")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{what} is {width}x{height}, more than {MAX_PIXELS:,} pixels. Scale it down first.")
    if max(size) > MAX_SIDE:
        raise ImageError(f"{what} is {width}x{height}, more than {MAX_SIDE:,} pixels long. Cut it to pieces first.")


def png_bytes(text: str) -> bytes:
    """The bytes in base64 text, with "data:image/png;base64," before it or not. ImageError for other text."""
    if text.startswith("data:") and not text.startswith(_DATA):
        raise ImageError(f"only PNGs may stand in text. Write it as {_DATA!r} and the base64 of a PNG.")
    try:
        return base64.b64decode(text.removeprefix(_DATA), validate=True)
    except ValueError as error:
        raise ImageError(f"it is no base64 text: {error}. Was it cut off or edited by hand?") from error


def png_size(text: str) -> tuple[int, int] | None:
    """(width, height) that the PNG in base64 text claims, of which only the beginning is looked at; None where it is no PNG."""
    start = text[len(_DATA) if text.startswith(_DATA) else 0 :][: 4 * _HEADER // 3]
    try:
        header = base64.b64decode(start, validate=True)
    except ValueError:
        return None
    if len(header) < _HEADER or not header.startswith(_PNG) or header[12:16] != b"IHDR":
        return None
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


def text_in_png(source: str | os.PathLike[str] | bytes, key: str, what: str = "") -> str | None:
    """What a PNG says under a key in its metadata; None where it says nothing, or is no PNG.

    Pixels are decoded only where nothing stands before them, as programs may move texts behind. Raises ImageError.

    Args:
        source: a path, or the file's bytes.
        what: names it in errors; its path when left out.
    """
    what = what or f"the picture {'of some bytes' if isinstance(source, bytes) else quoted(source)}"
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            if file.read(len(_PNG)) != _PNG:
                return None
    except OSError as error:
        raise ImageError(f"{what} cannot be read: {error.strerror or error}. Check the path.") from error
    with opened(source, what, EMBEDDED) as image:
        if key not in image.info:
            try:
                image.load()
            except Exception as error:  # PIL's decoders raise nearly anything on broken data
                raise ImageError(f"{what} is damaged or incomplete: {str(error) or type(error).__name__}.") from error
        text = image.info.get(key)
    return None if text is None else str(text)


def _picture_file(path: str | os.PathLike[str], what: str) -> IO[bytes]:
    if os.fsdecode(path).startswith(("http://", "https://")):
        raise ImageError(f"{what} is a web address, not a file. Download it first and pass the file's path.")
    try:
        return open_file(path)
    except IsADirectoryError:
        raise ImageError(f"{what} is a directory. Pass the path of a picture file in it.") from None
    except FileNotFoundError as error:
        raise ImageError(f"{what} does not exist{_looked_for(path)}. Check the path.") from error
    except OSError as error:
        raise ImageError(f"{what} cannot be opened: {error.strerror or error}. Check its path and permissions.") from error


def _looked_for(path: str | os.PathLike[str]) -> str:
    try:
        return f" (looked for {quoted(os.path.abspath(os.fsdecode(path)))})"
    except OSError:  # the current folder was deleted
        return ""


def _header(stream: IO[bytes], what: str, formats: Sequence[str]) -> ImageFile.ImageFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
            image = Image.open(stream, formats=tuple(formats))
    except UnidentifiedImageError as error:
        raise ImageError(f"{what} {_no_picture(stream, formats)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{what} has more than {MAX_PIXELS:,} pixels. Scale it down first.") from error
    except MemoryError as error:
        raise OutOfMemoryError(f"Scale {what} down first.") from error
    except Exception as error:  # PIL's plugins raise nearly anything on broken headers
        why = str(error) or type(error).__name__
        raise ImageError(f"{what} cannot be opened: {why.rstrip('.')}. Save or download it again.") from error
    check_size(image.size, what)
    return image


def _no_picture(stream: IO[bytes], formats: Sequence[str]) -> str:
    """What is wrong with a file that begins like no picture, or whose header makes no sense."""
    stream.seek(0)
    start = stream.read(16)
    if start.startswith(_STARTS[: len(formats)]):
        return "is damaged: its header makes no sense. Save or download it again."
    advice = "Save it as PNG, JPEG, WebP or TIFF." if len(formats) > 1 else "Save it as PNG."
    return f"is not in a format that can be read ({f'it starts with {start!r}' if start else 'it is empty'}). {advice}"
