"""Uploads: what is taken as it is, what is converted, what is refused and why."""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image, ImageFile

from contract.choices import Fit, ProblemCode
from contract.models import ModelInfo
from contract.problems import ProblemError
from service.edge.uploads import fit_image

Picture = Callable[..., bytes]


def refused(upload: bytes, model: ModelInfo, fit: Fit = Fit.EXACT) -> tuple[ProblemCode, str]:
    with pytest.raises(ProblemError) as error:
        fit_image(upload, model, fit)
    return error.value.problem.code, error.value.problem.detail


def write(image: Image.Image, file: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file, **options)
    return buffer.getvalue()


def gradient(mode: str = "L", size: tuple[int, int] = (28, 28)) -> Image.Image:
    image = Image.new("L", size)
    image.putdata([(5 * x + 3 * y) % 256 for y in range(size[1]) for x in range(size[0])])
    return image.convert(mode)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)


def test_digest_is_about_shape_and_pixels(toy: ModelInfo) -> None:
    """The certified point: the same picture in another file is the same point."""
    image = gradient()
    first, second = (
        fit_image(upload, toy, Fit.EXACT) for upload in (write(image), write(image, compress_level=0))
    )
    assert first.pixels == image.tobytes() == second.pixels
    assert first.digest == hashlib.sha256(b"radii:image:v1:28x28x1:" + first.pixels).hexdigest()
    assert first.digest == second.digest
    assert first.upload_digest != second.upload_digest


def test_colour_pixels_are_interleaved(colour: ModelInfo, picture: Picture) -> None:
    """Height, width, channels."""
    fitted = fit_image(picture("RGB", (8, 16), (1, 2, 3)), colour, Fit.EXACT)
    assert fitted.pixels == b"\x01\x02\x03" * (16 * 8)


@pytest.mark.parametrize("file", ["PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_lossless_conversions_keep_the_pixels(toy: ModelInfo, file: str, mode: str) -> None:
    """A grey picture is the same in every file type and mode that can hold it."""
    options = {"lossless": True} if file == "WEBP" else {}
    assert fit_image(write(gradient(mode), file, **options), toy, Fit.EXACT).pixels == gradient().tobytes()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_opaque_alpha_is_dropped(toy: ModelInfo, mode: str) -> None:
    assert fit_image(write(gradient(mode)), toy, Fit.EXACT).pixels == gradient().tobytes()


def test_opaque_palette_transparency_is_dropped(toy: ModelInfo) -> None:
    """The file declares a transparent colour that no pixel has."""
    upload = write(gradient("L").point(lambda value: min(value, 200)), transparency=255)
    assert len(set(fit_image(upload, toy, Fit.EXACT).pixels)) > 1


def test_black_and_white_becomes_grey(toy: ModelInfo) -> None:
    assert set(fit_image(write(gradient("1")), toy, Fit.EXACT).pixels) == {0, 255}


def test_grey_is_repeated_for_a_colour_model(colour: ModelInfo, picture: Picture) -> None:
    assert fit_image(picture("L", (8, 16), 9), colour, Fit.EXACT).pixels == b"\x09" * (3 * 16 * 8)


def test_exif_orientation_is_applied(colour: ModelInfo) -> None:
    """Lying on its side in the file, upright for everyone who looks at it."""
    image = gradient("RGB", (16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    fitted = fit_image(write(image, exif=exif), colour, Fit.EXACT)
    assert fitted.pixels == image.transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize(
    ("upload", "found"),
    [
        (b"hello", "text"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00", "GIF"),
        (b"\x00\x01\x02\xff" * 20, "an unknown type"),
    ],
)
def test_other_types_are_refused_by_name(toy: ModelInfo, upload: bytes, found: str) -> None:
    code, detail = refused(upload, toy)
    assert code is ProblemCode.UNSUPPORTED_IMAGE_TYPE
    assert detail == f"'image' must be a PNG, JPEG, WebP or BMP file, got {found}"


@pytest.mark.parametrize("file", ["GIF", "TIFF"])
def test_real_pictures_of_other_types_are_refused(toy: ModelInfo, picture: Picture, file: str) -> None:
    """The type is read from the bytes, not from a name."""
    code, detail = refused(picture(file=file), toy)
    assert code is ProblemCode.UNSUPPORTED_IMAGE_TYPE
    assert detail.endswith(f"got {file}")


def test_empty_file(toy: ModelInfo) -> None:
    assert refused(b"", toy)[0] is ProblemCode.UNDECODABLE_IMAGE


@pytest.mark.parametrize("file", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_truncated_file(toy: ModelInfo, file: str, part: float) -> None:
    """Wherever it is cut."""
    whole = write(gradient(size=(100, 100)), file)
    code, _ = refused(whole[: max(12, int(part * len(whole)))], toy)
    assert code is ProblemCode.UNDECODABLE_IMAGE


def test_damaged_png(toy: ModelInfo) -> None:
    """A wrong checksum."""
    upload = bytearray(write(gradient(size=(100, 100))))
    upload[60] ^= 0xFF
    assert refused(bytes(upload), toy)[0] is ProblemCode.UNDECODABLE_IMAGE


@pytest.mark.parametrize("side", [4001, 10_000, 30_000, 2**31 - 1])
def test_bomb_is_refused_from_its_header(toy: ModelInfo, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pixels are never decoded."""

    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    upload = png_header(side, side) + png_chunk(b"IDAT", zlib.compress(b"\x00" * 10**6))
    code, _ = refused(upload, toy)
    assert code in (ProblemCode.IMAGE_TOO_LARGE, ProblemCode.UNDECODABLE_IMAGE)
    assert side > 30_000 or code is ProblemCode.IMAGE_TOO_LARGE


def test_text_bomb(toy: ModelInfo) -> None:
    """A PNG whose compressed comment would fill the memory."""
    comment = b"Comment\x00\x00" + zlib.compress(b"\x00" * 100_000_000)
    upload = (
        png_header(28, 28) + png_chunk(b"zTXt", comment) + png_chunk(b"IDAT", zlib.compress(bytes(29 * 28)))
    )
    assert refused(upload + png_chunk(b"IEND", b""), toy)[0] is ProblemCode.UNDECODABLE_IMAGE


def test_16_bits_are_not_cut_to_8(toy: ModelInfo) -> None:
    """Neither grey ones nor colours, of which Pillow would silently drop half."""
    assert refused(write(Image.new("I;16", (28, 28), 700)), toy)[0] is ProblemCode.UNSUPPORTED_IMAGE_TYPE
    header = struct.pack(">IIBBBBB", 28, 28, 16, 2, 0, 0, 0)
    upload = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    upload += png_chunk(b"IDAT", zlib.compress(bytes(28 * (28 * 6 + 1)))) + png_chunk(b"IEND", b"")
    assert refused(upload, toy) == (
        ProblemCode.UNSUPPORTED_IMAGE_TYPE,
        "'image' must have 8 bits per channel, got 16",
    )


@pytest.mark.parametrize(
    ("upload", "rule"),
    [
        (png_header(28, 28) + png_chunk(b"teST", b"") * 4_000, "<= 4000 chunks as a PNG file"),
        (b"\xff\xd8" + b"\xff\xe5\x00\x02" * 501, "<= 500 segments before its first scan as a JPEG file"),
        (b"\xff\xd8" + b"\xff" * 600, "<= 500 segments before its first scan as a JPEG file"),
        (write(gradient(), "JPEG") + b"\xff\xda" * 64, "<= 64 scans as a JPEG file"),
        (write(gradient(), exif=b"Exif\x00\x00MM\x00*" + bytes(65_536)), "<= 65536 bytes of EXIF"),
        (b"\xff\xd8" + (b"\xff\xe1\xff\xfeExif\x00\x00" + bytes(65_526)) * 2, "<= 65536 bytes of EXIF"),
    ],
)
def test_header_that_keeps_a_reader_busy(toy: ModelInfo, upload: bytes, rule: str) -> None:
    """Decoders have no such bounds, and would go on for seconds or minutes."""
    code, detail = refused(upload, toy)
    assert code is ProblemCode.UNDECODABLE_IMAGE
    assert detail.startswith(f"'image' must have {rule}, got ")


def test_run_lengths_are_refused(toy: ModelInfo) -> None:
    """A BMP may be packed so; it is read byte by byte, and nobody writes it."""
    upload = bytearray(write(gradient(), "BMP"))
    upload[30] = 1
    assert refused(bytes(upload), toy) == (
        ProblemCode.UNSUPPORTED_IMAGE_TYPE,
        "'image' must be an uncompressed BMP, got a run-length encoded one",
    )


def test_large_picture_of_another_size_is_not_decoded(toy: ModelInfo) -> None:
    """Its header says enough; a picture of that size that lies on its side could still be the right one."""
    large = write(Image.new("L", (2000, 1500)))
    assert refused(large[:-20], toy)[0] is ProblemCode.IMAGE_SIZE_MISMATCH
    portrait = toy.model_copy(update={"input_shape": [1, 2000, 1500]})
    exif = Image.Exif()
    exif[0x0112] = 6
    assert fit_image(write(Image.new("L", (2000, 1500)), exif=exif), portrait, Fit.EXACT).pixels == bytes(
        3_000_000
    )


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_refused(toy: ModelInfo, mode: str) -> None:
    """What is behind it is not ours to choose."""
    colour = (10,) * (len(mode) - 1) + (128,)
    code, detail = refused(write(Image.new(mode, (28, 28), colour)), toy)
    assert code is ProblemCode.UNSUPPORTED_IMAGE_TYPE
    assert "opaque" in detail


def test_cmyk_is_refused(toy: ModelInfo, picture: Picture) -> None:
    code, detail = refused(picture("CMYK", colour=(1, 2, 3, 4), file="JPEG"), toy)
    assert (code, "CMYK" in detail) == (ProblemCode.UNSUPPORTED_IMAGE_TYPE, True)


@pytest.mark.parametrize("file", ["PNG", "WEBP"])
def test_animation_is_refused(toy: ModelInfo, file: str) -> None:
    frames = [Image.new("RGB", (28, 28), shade) for shade in ("black", "white")]
    upload = write(frames[0], file, save_all=True, append_images=frames[1:])
    assert refused(upload, toy)[0] is ProblemCode.UNSUPPORTED_IMAGE_TYPE


def test_second_picture_of_a_phone_is_ignored(toy: ModelInfo) -> None:
    """A JPEG with a preview or a depth map behind it shows its first picture everywhere."""
    image = gradient("RGB")
    upload = write(image, "MPO", save_all=True, append_images=[Image.new("RGB", (28, 28))], quality=95)
    with Image.open(io.BytesIO(upload)) as opened:
        assert opened.format == "MPO"
    assert len(fit_image(upload, toy, Fit.EXACT).pixels) == 784


def test_colours_are_refused_by_a_grey_model(toy: ModelInfo, picture: Picture) -> None:
    code, detail = refused(picture("RGB", colour=(1, 2, 3)), toy)
    assert code is ProblemCode.IMAGE_SIZE_MISMATCH
    assert "grey" in detail


def test_wrong_size_names_both(toy: ModelInfo, colour: ModelInfo, picture: Picture) -> None:
    """And the way out, where there is one."""
    assert refused(picture(size=(32, 30)), toy) == (
        ProblemCode.IMAGE_SIZE_MISMATCH,
        "'image' must be 28×28 pixels for 'toy', got 32×30",
    )
    assert refused(picture(size=(32, 30)), colour)[1].endswith("got 32×30; 'fit' = resize would resize it")


def test_resize_is_shorter_side_then_centre(colour: ModelInfo) -> None:
    """As torchvision's Resize(16) and CenterCrop((16, 8)) do."""
    image = gradient("RGB", (60, 40))
    expected = image.resize((24, 16), Image.Resampling.BILINEAR).crop((8, 0, 16, 16))
    assert fit_image(write(image), colour, Fit.RESIZE).pixels == expected.tobytes()


def test_resize_takes_the_luminance_for_a_grey_model(toy: ModelInfo, colour: ModelInfo) -> None:
    """The client allowed a change of the picture."""
    model = toy.model_copy(update={"fit": colour.fit, "input_shape": [1, 16, 16]})
    image = Image.merge("RGB", [gradient(size=(16, 16)), *(Image.new("L", (16, 16), 0),) * 2])
    assert fit_image(write(image), model, Fit.RESIZE).pixels == image.convert("L").tobytes()


def test_resize_needs_a_rule(toy: ModelInfo, picture: Picture) -> None:
    code, detail = refused(picture(), toy, Fit.RESIZE)
    assert (code, "got resize: 'toy' has no rule (`radii bundle create --resize`)" in detail) == (
        ProblemCode.IMAGE_SIZE_MISMATCH,
        True,
    )


def test_resizing_a_line_is_no_bomb(colour: ModelInfo, picture: Picture) -> None:
    """One pixel high: to bring it to 16 would make 16 times 16 million."""
    assert refused(picture(size=(1_500_000, 1)), colour, Fit.RESIZE)[0] is ProblemCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize(
    ("upload", "status", "code"),
    [
        (b"hello", 415, "unsupported_image_type"),
        (b"", 422, "undecodable_image"),
        (png_header(30_000, 30_000) + png_chunk(b"IDAT", b""), 413, "image_too_large"),
        (write(gradient(size=(32, 32))), 422, "image_size_mismatch"),
        (write(gradient())[:60], 422, "undecodable_image"),
    ],
)
def test_refusals_over_http(api: httpx.Client, upload: bytes, status: int, code: str) -> None:
    """Each names the field, and shows none of its bytes."""
    response = api.post("/certify", files={"image": ("image.png", upload)}, data={"model": "toy"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["errors"][0]["pointer"] == "/image"
