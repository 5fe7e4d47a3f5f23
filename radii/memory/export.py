"""A memory's log as lines of JSON: a header, then every record as it is, byte for byte."""

import base64
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from radii.errors import CommandError
from radii.memory.reading import MemoryLog

_CHUNK: Final = 100  # records whose centres are in memory at a time


def export_lines(log: MemoryLog, *, centers: bool = False) -> Iterator[bytes]:
    """Gives the lines, without holding all of them at once.

    Args:
        log: The memory.
        centers: Add `center` to every record: the pixels in base64, rows first, channels last; or null where
            they are missing.

    Raises:
        CommandError: A record cannot be read; the message names its place. Or the memory was wiped meanwhile.
    """
    yield _header(log)
    records = enumerate(log.records())
    while chunk := list(islice(records, _CHUNK)):
        checked = [_one_line(index, record) for index, record in chunk]
        yield from _with_centers(log, checked) if centers else (record + b"\n" for record in checked)
    log.require_same()


def _header(log: MemoryLog) -> bytes:
    header = {
        "model_digest": log.name.model_digest,
        "memory": log.name.namespace,
        "epoch": log.state.epoch,
        "head": log.state.head,
        "regions": log.state.length,
    }
    return json.dumps(header).encode() + b"\n"


def _one_line(index: int, record: bytes) -> bytes:
    try:
        if isinstance(json.loads(record), dict) and b"\n" not in record:
            return record
    except ValueError:
        pass
    raise CommandError(f"region {index} cannot be read: `radii memory check` lists every fault")


def _with_centers(log: MemoryLog, records: Sequence[bytes]) -> Iterator[bytes]:
    digests = [str(json.loads(record).get("image_digest")) for record in records]
    for record, pixels in zip(records, log.centers(digests), strict=True):
        center = b"null" if pixels is None else b'"' + base64.b64encode(pixels) + b'"'
        # The record itself stays as it is, since the chain is over its bytes.
        yield record.rstrip()[:-1] + b',"center":' + center + b"}\n"
