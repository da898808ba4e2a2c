"""A picture of the pixels of a file, where it needs no codec, for people to compare."""

from __future__ import annotations

import base64
import struct
import zlib
from array import array
from io import BytesIO

import pydicom
from pydicom import config

# As many pixels each way as tell what is in an image.
MAX_SIDE = 320

# PS3.5 A.1, A.2 and A.4.1 (retired): pixels as they are, little endian.
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}


def picture(data: bytes) -> str:
    """Returns the first frame of a file as a data URI; empty where there is none to be shown.

    Shown are uncompressed gray and RGB images of 8 and 16 bits.
    """
    try:
        with config.disable_value_validation():
            dataset = pydicom.dcmread(BytesIO(data), force=True)
            if dataset.file_meta.get("TransferSyntaxUID", "") not in _NATIVE:
                return ""
            rows, columns = int(dataset.Rows), int(dataset.Columns)
            samples, bits = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated)
            inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
            gray = samples == 1 and bits in {8, 16} and "MONO" in dataset.PhotometricInterpretation
            rgb = samples == 3 and bits == 8 and dataset.PhotometricInterpretation == "RGB"
            if not (gray or (rgb and not dataset.get("PlanarConfiguration", 0))):
                return ""
            signed = bool(dataset.get("PixelRepresentation", 0))
            pixels = array(("b" if signed else "B") if bits == 8 else ("h" if signed else "H"))
            pixels.frombytes(dataset.PixelData[: rows * columns * samples * bits // 8])
    except Exception:  # noqa: BLE001 -- any kind comes out of a file that is broken
        return ""
    step = max(1, -(-max(rows, columns) // MAX_SIDE))
    lines = [
        [
            pixels[(row * columns + column) * samples + sample]
            for column in range(0, columns, step)
            for sample in range(samples)
        ]
        for row in range(0, rows, step)
        if (row + 1) * columns * samples <= len(pixels)
    ]
    if not lines or not lines[0]:
        return ""
    return _png(lines, samples, scaled=gray, inverted=inverted)


def _png(lines: list[list[int]], samples: int, *, scaled: bool, inverted: bool) -> str:
    """Returns an image as a PNG (ISO/IEC 15948) of 8 bits in a data URI."""
    low, high = (min(map(min, lines)), max(map(max, lines))) if scaled else (0, 255)
    span = max(1, high - low)
    flip = 255 if inverted else 0
    body = b"".join(
        b"\0" + bytes((value - low) * 255 // span ^ flip for value in line) for line in lines
    )
    header = struct.pack(
        ">IIBBBBB", len(lines[0]) // samples, len(lines), 8, 2 if samples == 3 else 0, 0, 0, 0
    )
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
