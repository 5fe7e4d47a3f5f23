"""Which host names and addresses can only be this machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str | None) -> bool:
    """Whether a name or address can only be reached from this machine; an unknown name counts as not.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if not host:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_of(authority: str) -> str | None:
    """Returns the host of a ``Host`` header, or of a URL; None if there is none.

    >>> host_of("localhost:8000"), host_of("http://[::1]:8000/x"), host_of("null")
    ('localhost', '::1', 'null')
    """
    try:
        return urlsplit(authority if "://" in authority else f"//{authority}").hostname
    except ValueError:
        return None
