"""Uploads that are malformed, hostile or mislabelled: a seeded corpus of requests."""

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from contract.limits import MAX_BODY_BYTES

SEED: Final = 20_061
BOUNDARY: Final = b"radii"
MULTIPART: Final = "multipart/form-data; boundary=radii"
JSON: Final = "application/json"
PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Upload:
    """One request. Where ``may_be_valid``, a 202 is as good as a refusal."""

    name: str
    body: bytes
    path: str = "/certify"
    content_type: str | None = MULTIPART
    may_be_valid: bool = False


def part(name: bytes, content: bytes, *extra: bytes, file: bytes | None = b"a.png") -> bytes:
    """One part of a form."""
    disposition = b'Content-Disposition: form-data; name="' + name + b'"'
    if file is not None:
        disposition += b'; filename="' + file + b'"'
    return b"\r\n".join([b"--" + BOUNDARY, disposition, *extra, b"", content, b""])


def form(
    image: bytes, *fields: tuple[bytes, bytes], file: bytes = b"a.png", kind: bytes = b"image/png"
) -> bytes:
    """A form with an image."""
    asked = fields or ((b"model", b"toy"),)
    parts = [part(name, value, file=None) for name, value in asked]
    return b"".join(parts) + part(b"image", image, b"Content-Type: " + kind, file=file) + b"--radii--\r\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int = 28, height: int = 28, *, depth: int = 8, colour: int = 0, before: bytes = b"", pixels: bytes | None = None
) -> bytes:  # fmt: skip
    """A grey PNG whose header may lie."""
    header = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, colour, 0, 0, 0)
    data = zlib.compress(bytes(28 * 29) if pixels is None else pixels)
    return PNG + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def written(image: Image.Image, file: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file, **options)
    return buffer.getvalue()


def grey(size: tuple[int, int] = (28, 28)) -> Image.Image:
    image = Image.new("L", size)
    image.putdata([(5 * x + 3 * y) % 256 for y in range(size[1]) for x in range(size[0])])
    return image


def sound() -> dict[str, bytes]:
    """Pictures that are taken."""
    return {
        "png": written(grey(), "PNG"),
        "palette.png": written(grey().convert("P"), "PNG"),
        "jpeg": written(grey(), "JPEG", quality=90),
        "progressive.jpeg": written(grey(), "JPEG", quality=90, progressive=True),
        "webp": written(grey().convert("RGB"), "WEBP", lossless=True),
        "bmp": written(grey(), "BMP"),
    }


def corpus() -> list[Upload]:
    """All of it, the same each time."""
    drawn = random.Random(SEED)
    made = [*_cut(), *_flipped(drawn), *_spliced(drawn), *_pictures(), *_headers(), *_multipart(), *_json()]
    assert len({upload.name for upload in made}) == len(made)
    return made


def _cut() -> Iterator[Upload]:
    for kind, whole in sound().items():
        places = {0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 20, 24, 25, 26, 29, 30, 33, 37, 41, 54}
        places |= {round(len(whole) * part_ / 12) for part_ in range(1, 12)} | {
            len(whole) - 5,
            len(whole) - 1,
        }
        for place in sorted(place for place in places if place < len(whole)):
            # Of the last bytes some formats need none.
            yield Upload(f"{kind} cut at {place}", form(whole[:place]), may_be_valid=place > 30)


def _flipped(drawn: random.Random) -> Iterator[Upload]:
    for kind, whole in sound().items():
        for number in range(40):
            damaged = bytearray(whole)
            for _ in range(drawn.choice((1, 1, 2, 8))):
                damaged[drawn.randrange(len(damaged))] ^= 1 << drawn.randrange(8)
            yield Upload(f"{kind} flipped {number}", form(bytes(damaged)), may_be_valid=True)


def _spliced(drawn: random.Random) -> Iterator[Upload]:
    kinds = list(sound().items())
    for number in range(30):
        (name, head), (other, tail) = drawn.sample(kinds, 2)
        body = head[: drawn.randrange(4, len(head))] + tail[drawn.randrange(len(tail)) :]
        yield Upload(f"{name} goes on as {other} {number}", form(body), may_be_valid=True)
    for number in range(20):
        noise = drawn.randbytes(drawn.randrange(1, 4000))
        yield Upload(f"noise {number}", form(noise))
        start = drawn.choice([whole[:40] for _, whole in kinds])
        yield Upload(f"noise behind a header {number}", form(start + noise), may_be_valid=True)
    for name, whole in kinds:
        script = b"<script>alert(1)</script>" + drawn.randbytes(64)
        yield Upload(f"{name} with a page behind it", form(whole + script), may_be_valid=True)
        yield Upload(
            f"{name} with an archive behind it", form(whole + b"PK\x03\x04" + script), may_be_valid=True
        )
        yield Upload(f"{name} behind a page", form(script + whole))


def _pictures() -> Iterator[Upload]:
    """Whole files that are not what is taken, or not what they are called."""
    other = {
        "GIF": written(grey(), "GIF"), "TIFF": written(grey(), "TIFF"), "ICO": written(grey((16, 16)), "ICO"),
        "PCX": written(grey(), "PCX"), "PPM": written(grey(), "PPM"), "TGA": written(grey(), "TGA"),
        "JPEG 2000": written(grey(), "JPEG2000"), "EPS": written(grey(), "EPS"), "PDF": written(grey(), "PDF"),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28"/>', "DDS": b"DDS |" + bytes(200),
        "SVG with entities": b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>',
        "FITS": b"SIMPLE  =                    T".ljust(80) + b"NAXIS   =                    2".ljust(2800),
        "HEIC": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "AVIF": b"\x00\x00\x00\x1cftypavif" + bytes(40),
        "PSD": b"8BPS\x00\x01" + bytes(60), "ZIP": b"PK\x03\x04" + bytes(60), "GZIP": zlib.compress(bytes(9999)),
        "ELF": b"\x7fELF" + bytes(60), "MP4": b"\x00\x00\x00 ftypisom" + bytes(60), "WMF": b"\xd7\xcd\xc6\x9a" + bytes(90),
        "text": b"hello", "HTML": b"<html></html>", "nothing": b"", "NUL": bytes(1000), "FF": b"\xff" * 1000,
        "GIF of 65 535 squared": b"GIF89a\xff\xff\xff\xff\x00\x00\x00", "PE": b"MZ" + bytes(90),
    }  # fmt: skip
    for name, content in other.items():
        yield Upload(f"{name} as a PNG", form(content))
        yield Upload(f"{name} as a JPEG", form(content, file=b"a.jpg", kind=b"image/jpeg"))
    frames = [Image.new("RGB", (28, 28), shade) for shade in ("black", "white")]
    deep = Image.new("I;16", (28, 28), 700)
    clear = Image.new("RGBA", (28, 28), (1, 1, 1, 128))
    refused = {
        "animated PNG": written(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "animated WebP": written(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "16 bits": written(deep, "PNG"),
        "16 bits of colour": png(depth=16, colour=2, pixels=bytes(28 * (28 * 6 + 1))),
        "CMYK": written(Image.new("CMYK", (28, 28)), "JPEG"),
        "see-through": written(clear, "PNG"),
        "see-through WebP": written(clear, "WEBP", lossless=True),
        "see-through palette": written(grey().convert("P"), "PNG", transparency=5),
        "colours": written(Image.new("RGB", (28, 28), (1, 2, 3)), "PNG"),
        "lying on its side": written(grey((28, 30)), "JPEG", exif=_orientation(6)),
        "29 wide": written(grey((29, 28)), "PNG"),
        "one pixel": written(grey((1, 1)), "PNG"),
        "large and empty": written(Image.new("L", (4000, 4000)), "PNG"),
    }
    for name, content in refused.items():
        yield Upload(name, form(content))
    taken = {
        "upside down": written(grey(), "JPEG", exif=_orientation(3)),
        "impossible orientation": written(grey(), "JPEG", exif=_orientation(77)),
        "no colour profile": written(grey(), "PNG", icc_profile=b"no profile" * 50),
        "no colour profile JPEG": written(grey(), "JPEG", icc_profile=b"\x00" * 3000),
        "EXIF of nothing": written(grey(), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff"),
        "called a text": written(grey(), "PNG"),
    }
    for name, content in taken.items():
        kind = b"text/plain" if name == "called a text" else b"image/png"
        yield Upload(name, form(content, file=b"../../etc/passwd", kind=kind), may_be_valid=True)


def _orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def _exif(entries: int, size: int) -> bytes:
    """Tags that each claim so many bytes, all of them the same ones."""
    table = b"".join(struct.pack("<HHLL", tag, 1, size, 8) for tag in range(entries))
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", entries) + table + bytes(4)


def _headers() -> Iterator[Upload]:
    """Headers that lie, and those that are made to keep a reader busy."""
    for width, height in (
        (30_000, 30_000), (4001, 4001), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (0, 28),
        (28, 0), (-1, -1), (16_000_001, 1), (1, 2**31), (28, 4000),
    ):  # fmt: skip
        yield Upload(f"PNG of {width} by {height}", form(png(width, height)))
    for depth, colour in (
        (0, 0),
        (3, 0),
        (7, 0),
        (9, 0),
        (255, 0),
        (8, 1),
        (8, 5),
        (8, 7),
        (8, 255),
        (16, 3),
    ):
        yield Upload(f"PNG of depth {depth}, colour {colour}", form(png(depth=depth, colour=colour)))
    packed = zlib.compress(bytes(50_000_000))
    busy = {
        "zTXt bomb": png(before=chunk(b"zTXt", b"Comment\x00\x00" + packed)),
        "iTXt bomb": png(before=chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + packed)),
        "iCCP bomb": png(before=chunk(b"iCCP", b"p\x00\x00" + packed)),
        "many comments": png(before=chunk(b"zTXt", b"C\x00\x00" + zlib.compress(bytes(999_999))) * 200),
        "IDAT bomb": png(pixels=bytes(50_000_000)),
        "empty chunks": png(before=chunk(b"teST", b"") * 500_000),
        "empty comments": png(before=chunk(b"tEXt", b"a\x00") * 200_000),
        "empty IDATs": png(before=chunk(b"IDAT", b"") * 500_000),
        "animation of nothing": png(before=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "EXIF that overlaps": png(before=chunk(b"eXIf", _exif(60_000, 600_000))),
        "EXIF in a comment": png(before=chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(
            b"\nexif\n 9\n" + _exif(40_000, 400_000).hex().encode()))),
        "APP segments": b"\xff\xd8" + b"\xff\xe5\x00\x02" * 2_500_000 + written(grey(), "JPEG")[2:],
        "fill bytes": b"\xff\xd8" + b"\xff" * 10_000_000 + written(grey(), "JPEG")[2:],
        "JPEG EXIF that overlaps": _with_segment(b"\xff\xe1", b"Exif\x00\x00" + _exif(5_000, 60_000)),
        "many EXIFs": _with_segment(b"\xff\xe1", b"Exif\x00\x00" + _exif(5_000, 60_000), times=100),
        "many scans": _scans(2_000_000),
        "many scans of much": _scans(500_000, (4000, 4000)),
        "RLE that goes nowhere": _rle(b"\x00\x02\x00\x00" * 2_500_000),
        "RLE of single pixels": _rle(b"\x01\x07" * 4_000_000, (2000, 2000)),
        "WebP canvas": b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\x00\x00\x00\x02\x00\x00\x00" + b"\xff" * 6 + bytes(200),
        "WebP of 16 383 squared": b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00/\xff\xff\xff\x0f" + bytes(9),
        "BMP of 2^31": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 8, 0, 0, 1, 1, 0, 0),
        "BMP of -1": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, -1, -1, 1, 8, 0, 0, 1, 1, 0, 0) + bytes(99),
        "BMP palette of 2^31": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 28, 28, 1, 8, 0, 0, 1, 1, 2**31, 0),
    }  # fmt: skip
    for name, content in busy.items():
        yield Upload(name, form(content), may_be_valid=name in _HARMLESS)
        # A model that fits images of any size has to look further into them.
        fields = ((b"model", b"colour"), (b"sigma", b"1"), (b"fit", b"resize"))
        yield Upload(f"{name}, to be resized", form(content, *fields), may_be_valid=name in _HARMLESS)


_READABLE: Final = {"text as number", "bool as number", "UTF-16", "UTF-32"}
_HARMLESS: Final = {"animation of nothing", "JPEG EXIF that overlaps", "IDAT bomb", "iCCP bomb"}


def _with_segment(marker: bytes, content: bytes, times: int = 1) -> bytes:
    segment = marker + struct.pack(">H", len(content) + 2) + content
    return b"\xff\xd8" + segment * times + written(grey(), "JPEG")[2:]


def _scans(length: int, size: tuple[int, int] = (28, 28)) -> bytes:
    """A progressive JPEG that says its last scan again and again."""
    whole = written(Image.new("L", size, 100), "JPEG", progressive=True, quality=50)
    last = whole[whole.rindex(b"\xff\xc4") : -2]
    return whole[:-2] + last * (length // len(last)) + b"\xff\xd9"


def _rle(data: bytes, size: tuple[int, int] = (28, 28)) -> bytes:
    palette = b"".join(bytes((shade, shade, shade, 0)) for shade in range(256))
    offset = 54 + len(palette)
    head = struct.pack(
        "<IHHIIiiHHIIiiII", offset + len(data), 0, 0, offset, 40, *size, 1, 8, 1, len(data), 1, 1, 256, 0
    )
    return b"BM" + head + palette + data


def _multipart() -> Iterator[Upload]:
    image = sound()["png"]
    whole = form(image)
    for place in sorted({0, 1, 4, 7, 9, 20, 40, 70, 100, len(whole) - 1, len(whole) - 5, len(whole) - 12}):
        yield Upload(f"form cut at {place}", whole[:place], may_be_valid=place > 100)
    kinds = [
        "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=" + "b" * 5000, "multipart/form-data; boundary=radii; boundary=other", "multipart/form-data; charset=utf-7; boundary=radii",
        "multipart/mixed; boundary=radii", "image/png", "application/x-www-form-urlencoded", "text/plain", "application/json",
        "application/octet-stream", "multipart/form-data;boundary=r\u00e4dii", "*/*", ";", "", None,
    ]  # fmt: skip
    for kind in kinds:
        yield Upload(f"form sent as {str(kind)[:60]}", whole, content_type=kind, may_be_valid="radii;" in str(kind) or "charset" in str(kind))  # fmt: skip
    end = b"--radii--\r\n"
    pieces = {
        "two images": part(b"image", image) + part(b"image", image) + end,
        "image and text of that name": part(b"image", image) + part(b"image", b"hi", file=None) + end,
        "image as text": part(b"image", image, file=None) + end,
        "no name": b"--radii\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + end,
        "no disposition": b"--radii\r\nContent-Type: image/png\r\n\r\nx\r\n" + end,
        "no headers": b"--radii\r\n\r\nx\r\n" + end,
        "header without a colon": b"--radii\r\nrubbish\r\n\r\nx\r\n" + end,
        "huge header": part(b"image", image, b"X: " + b"x" * 1_000_000) + end,
        "huge name": part(b"n" * 1_000_000, b"x", file=None) + end,
        "huge file name": part(b"image", image, file=b"f" * 1_000_000) + end,
        "many headers": part(b"image", image, *[b"X: y"] * 50_000) + end,
        "many fields": part(b"f", b"", file=None) * 5_000 + part(b"image", image) + end,
        "many different fields": b"".join(part(b"f%d" % n, b"", file=None) for n in range(900)) + end,
        "many files": part(b"f", b"") * 5_000 + end,
        "huge field": part(b"label", b"x" * 3_000_000, file=None) + part(b"image", image) + end,
        "huge number": part(b"sigma", b"9" * 500_000, file=None) + part(b"image", image) + end,
        "long list": part(b"sigma_grid", b"1," * 200_000, file=None) + part(b"image", image) + end,
        "nested form": part(b"image", part(b"image", image) + end, b"Content-Type: multipart/form-data; boundary=radii") + end,
        "nearly the boundary": part(b"image", b"\r\n--radi" * 1_200_000) + end,
        "line ends": part(b"image", b"\r\n" * 5_000_000) + end,
        "dashes": part(b"image", b"\r\n-" * 3_500_000) + end,
        "quoted printable": part(b"image", b"=89PNG", b"Content-Transfer-Encoding: quoted-printable") + end,
        "base64 in a form": part(b"image", base64.b64encode(image), b"Content-Transfer-Encoding: base64") + end,
        "NUL in a name": part(b"ima\x00ge", image) + end,
        "lone surrogate": part(b"label", b"\xed\xa0\x80", file=None) + part(b"image", image) + end,
        "not UTF-8": part(b"label", b"\xff\xfe", file=None) + part(b"image", image) + end,
        "empty": end, "only dashes": b"-" * 100_000, "preamble": b"x" * 100_000 + end, "LF alone": whole.replace(b"\r\n", b"\n"),
        "nothing": b"", "NaN": part(b"sigma", b"NaN", file=None) + part(b"image", image) + end,
        "oversize": part(b"image", bytes(MAX_BODY_BYTES)) + end,
    }  # fmt: skip
    for name, body in pieces.items():
        yield Upload(f"form: {name}", body, may_be_valid=name in ("preamble", "lone surrogate", "not UTF-8"))


def _json() -> Iterator[Upload]:
    image = base64.b64encode(sound()["png"]).decode()
    good = {"model": "toy", "image": image}

    def said(**fields: Any) -> bytes:
        return json.dumps({**good, **fields}).encode()

    texts = {
        "nothing": b"", "a bracket": b"{", "no object": b"[]", "a number": b"7", "null": b"null", "NUL": bytes(99),
        "deep arrays": b"[" * 1_000_000, "deep objects": b'{"a":' * 300_000, "deep in a field": b'{"image":' + b"[" * 900 + b"]" * 900 + b"}",
        "deep seed": said(seed=0)[:-2] + b"[" * 499 + b"]" * 499 + b"}",
        "huge integer": b'{"n": ' + b"9" * 4_000_000 + b"}", "huge exponent": b'{"sigma": 1e999999999}', "tiny": b'{"sigma": 1e-999999999}',
        "long fraction": b'{"sigma": 0.' + b"3" * 4_000_000 + b"}", "NaN": b'{"sigma": NaN}', "Infinity": b'{"sigma": -Infinity}',
        "two images": b'{"image": "!", "image": "!"}', "two models": said()[:-1] + b', "model": "nobody"}',
        "many members": ("{" + ",".join(f'"k{n}":0' for n in range(800_000)) + "}").encode(), "some members": json.dumps({f"k{n}": 0 for n in range(300)}).encode(),
        "many items": b'{"sigma_grid": [' + b"1," * 5_000_000 + b"1]}", "escapes": b'{"label": "' + b"\\u0041" * 1_500_000 + b'"}',
        "lone surrogate": said(label="\ud800"), "lone surrogate in a name": b'{"\\ud800": 1}', "surrogate model": said(model="\udfff"),
        "surrogate image": b'{"image": "\\ud800"}', "UTF-16": said().decode().encode("utf-16"), "UTF-32": said().decode().encode("utf-32"),
        "byte order mark": b"\xef\xbb\xbf" + said(sigma=-1), "latin": '{"label": "é"}'.encode("latin-1"), "trailing comma": b'{"image": "",}',
        "comment": b'{"image": "" /* x */}', "single quotes": b"{'image': ''}", "two documents": said() + said(), "cut": said()[:-20],
        "spaced image": b'{"image": "' + b"A " * 5_000_000 + b'"}', "bad base64": said(image="!!!"), "unpadded": said(image="aGk"),
        "URL-safe": said(image="__--"), "data URL": said(image="data:image/png;base64," + image), "padding inside": said(image="aGk=aGk="),
        "base64 of base64": said(image=base64.b64encode(image.encode()).decode()), "no text": said(image=7), "null image": said(image=None),
        "image as an object": said(image={"a": 1}), "image as bytes": said(image=[137, 80]), "empty image": said(image=""),
        "bool as number": said(sigma=True), "text as number": said(n="1000 "), "number as text": said(label=3), "float as integer": said(n=10.5),
        "negative zero": said(sigma=-0.0), "unknown member": said(__proto__={"a": 1}), "long name": said(**{"x" * 1_000_000: 1}),
        "NUL in a model": said(model="a\x00b"), "long seed": said(seed="f" * 1_000_000), "form in JSON": form(sound()["png"]),
        "long model": said(model="m" * 1_000_000), "huge grid": said(sigma_grid=[0.5] * 400), "oversize": b" " * (MAX_BODY_BYTES + 1),
        "XML": b"<?xml version='1.0'?><a/>", "pickle": b"\x80\x04\x95", "YAML": b"image: !!python/object:os.system", "NDJSON": b'{"image":""}\n{"image":""}',
    }  # fmt: skip
    for name, body in texts.items():
        path = "/certify/json" if len(name) % 2 else "/predict/json"
        yield Upload(f"JSON: {name}", body, path, JSON, may_be_valid=name in _READABLE)
    for kind in ("text/json", "application/json; charset=utf-16", "application/xml", "", None):
        yield Upload(
            f"JSON sent as {kind}", said(), "/certify/json", kind, may_be_valid="utf-16" in str(kind)
        )
