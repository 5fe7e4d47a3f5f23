"""`Prefer: wait=N`: how long a client would like to wait for the answer itself (RFC 7240)."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header

from contract.limits import MAX_WAIT_SECONDS

_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)


def preferred_wait(
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description=f"`wait=N` waits up to N seconds (at most {MAX_WAIT_SECONDS}) for the answer.",
        ),
    ] = None,
) -> int | None:
    """Returns the seconds that were asked for, capped; a preference that cannot be read is ignored."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else None


PreferredWait = Annotated[int | None, Depends(preferred_wait)]
