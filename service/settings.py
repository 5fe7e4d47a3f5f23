"""Settings of the API, read once from ``RADII_*`` and passed down."""

import re
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final

import limits
from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode

from contract.settings import ProcessSettings

_NO_TIME: Final = re.compile(r"(/|per)\s*0+\s*[a-z]", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"https?://[^\s/?#@*,]+")


class Misconfiguration(ValueError):
    """The API must not start with these settings."""


class Auth(StrEnum):
    """Who may use the API: callers with a key, or everyone on this machine."""

    KEYS = "keys"
    OFF = "off"


OFF = "off"


def _rate(text: str) -> str:
    if text != OFF:
        try:
            rates = limits.parse_many(text)
        except ValueError:
            rates = []
        # The library accepts several rates but would use only the first, and accepts windows of length zero.
        if len(rates) != 1 or _NO_TIME.search(text):
            raise ValueError(f"must be 'off' or a rate such as 600/minute, got {text!r}")
    return text


Rate = Annotated[str, AfterValidator(_rate)]


class ServiceSettings(ProcessSettings):
    """Settings of one API process."""

    auth: Auth = Field(
        default=Auth.KEYS, description="`off`: no keys; only for an API that listens on loopback."
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of API keys, which `radii keys` writes."
    )
    host: str | None = Field(
        default=None, description="Address on which the server listens; `radii api` sets it."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins whose web pages may use the API, separated by commas."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` "
        "`radii api` trusts.",
    )
    redis_timeout: float = Field(
        default=1.5,
        ge=0.7,
        description="Seconds that Redis may take to answer; blocking reads use half a second of it.",
    )
    default_model: str | None = Field(
        default=None, description="Used when a request names none; the first ready one in alphabetical order."
    )
    allow_volatile_memory: bool = Field(
        default=False, description="Be ready even if Redis may evict keys or has no append-only file."
    )
    max_waiters: int = Field(
        default=64, ge=0, description="Requests that may wait for a job at the same time."
    )
    max_decoders: int = Field(default=4, ge=1, description="Images decoded at the same time; bounds memory.")
    catalogue_seconds: float = Field(
        default=1.0,
        ge=0,
        description="Seconds for which submissions use a cached list of models and engines.",
    )

    # `max_queued` bounds the work, exactly and across processes. A rate bounds, in each process, how many of
    # a caller's requests are read: by default it can fill the queue in a minute, but not keep others out.
    rate_limit_submit: Rate = Field(
        default="1200/minute",
        description="Submissions per caller (per address without keys) and API process, or `off`.",
    )
    rate_limit_read: Rate = Field(
        default=OFF, description="Other requests per caller and API process, or `off`."
    )
    max_queued: int = Field(
        default=1000, ge=1, description="Jobs that may wait in the queue, over all API processes."
    )
    max_queued_per_caller: int | None = Field(
        default=None,
        ge=1,
        description="Jobs of one caller that may wait in the queue; default: no cap per caller.",
    )
    max_store_fill: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of Redis' `maxmemory` up to which jobs are accepted; the rest is for answers.",
    )
    header_seconds: float = Field(
        default=10, gt=0, description="Seconds within which the headers of a request must arrive."
    )
    body_seconds: float = Field(
        default=30,
        gt=0,
        description="Seconds within which a body must arrive, and a client must read its answer.",
    )
    max_connections: int = Field(default=1000, ge=1, description="Open connections per API process.")
    max_streams: int = Field(
        default=128, ge=0, description="Event streams that may be open at the same time."
    )
    stream_seconds: float = Field(
        default=600, gt=0, description="Seconds after which an event stream ends; the client then resumes it."
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds for which a stopping process still accepts requests after `/readyz` turns 503, "
        "so that a load balancer notices.",
    )

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("cors_origins")
    @classmethod
    def _exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"must be exact origins, as https://example.org or http://localhost:3000, got {origin!r}"
                )
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"must be addresses or networks, as 10.0.0.0/8, got {proxy!r}") from None
        return proxies
