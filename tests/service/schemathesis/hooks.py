"""What schemathesis cannot know: what an image is."""

import base64
import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def picture() -> bytes:
    """What `toy` takes."""
    buffer = io.BytesIO()
    Image.new("L", (28, 28), 7).save(buffer, "PNG")
    return buffer.getvalue()


for media_type in ("image/png", "image/jpeg", "image/webp", "image/bmp"):  # the service looks at the content
    schemathesis.openapi.media_type(media_type, st.just(picture()))
schemathesis.openapi.format("byte", st.just(base64.b64encode(picture()).decode()))
