"""What an operator may set for the API, read once from ``RADII_*`` and passed down."""

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
    """Who may use the API: those who have a key, or everybody on this machine."""

    KEYS = "keys"
    OFF = "off"


OFF = "off"


def _rate(text: str) -> str:
    if text != OFF:
        try:
            rates = limits.parse_many(text)
        except ValueError:
            rates = []
        # The library takes several and would count by the first alone, and takes no minutes for one.
        if len(rates) != 1 or _NO_TIME.search(text):
            raise ValueError(f"must be 'off' or a rate such as 600/minute, got {text!r}")
    return text


Rate = Annotated[str, AfterValidator(_rate)]


class ServiceSettings(ProcessSettings):
    """Settings of one API process."""

    auth: Auth = Field(default=Auth.KEYS, description="`off` is for an API that listens on loopback alone.")
    api_keys_file: Path | None = Field(default=None, description="File that `radii keys` writes.")
    host: str | None = Field(default=None, description="Where the server listens, as `radii api` says.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins whose web pages may use the API, separated by commas."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` "
        "`radii api` believes; nobody's if unset.",
    )
    redis_timeout: float = Field(
        default=1.5,
        ge=0.7,
        description="Seconds that Redis may take to answer; reads that wait take half a second.",
    )
    default_model: str | None = Field(
        default=None, description="Used when a request names none; the first ready one in alphabetical order."
    )
    allow_volatile_memory: bool = Field(
        default=False, description="Be ready on a Redis that may evict keys or keeps no append-only file."
    )
    max_waiters: int = Field(default=64, ge=0, description="Requests that may wait for a job at a time.")
    max_decoders: int = Field(default=4, ge=1, description="Images decoded at a time; bounds memory.")
    catalogue_seconds: float = Field(
        default=1.0, ge=0, description="For how long a submission may rely on what the engines said."
    )

    # `max_queued` bounds the work, exactly and across processes. A rate bounds, in each process, how many of
    # a caller's requests are read: by default it can fill the queue in a minute, but not keep others out.
    rate_limit_submit: Rate = Field(
        default="1200/minute",
        description="Submissions of one caller (of one address, without keys) to one API process, or off.",
    )
    rate_limit_read: Rate = Field(
        default=OFF, description="Other requests of one caller to one API process, or off."
    )
    max_queued: int = Field(default=1000, ge=1, description="Jobs that may wait.")
    max_queued_per_caller: int | None = Field(
        default=None, ge=1, description="Jobs of one caller that may wait; no cap of its own if unset."
    )
    max_store_fill: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Part of Redis' `maxmemory` up to which jobs are taken; the rest is for their answers.",
    )
    header_seconds: float = Field(
        default=10, gt=0, description="Seconds that a connection may take for a request's headers."
    )
    body_seconds: float = Field(
        default=30, gt=0, description="Seconds that a body may take to arrive, or an answer to be taken."
    )
    max_connections: int = Field(default=1000, ge=1, description="Open connections of one API process.")
    max_streams: int = Field(default=128, ge=0, description="Event streams that may be open at a time.")
    stream_seconds: float = Field(
        default=600, gt=0, description="Seconds after which a stream ends; its client resumes."
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds between /readyz saying that the process stops and the last new request that it "
        "takes: what a load balancer needs to notice.",
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
