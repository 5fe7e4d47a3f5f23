"""What an operator may set for the API, read once from ``RADII_*`` and passed down."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.logs import LogFormat, LogLevel


class ServiceSettings(BaseSettings):
    """Settings of one API process."""

    model_config = SettingsConfigDict(env_prefix="RADII_", frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
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
    log_format: LogFormat = Field(
        default="auto", description="Lines of JSON, or for a console; auto: for a console on a terminal only."
    )
    log_level: LogLevel = Field(default="info", description="Less important lines are not written.")
    drain_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds between /readyz saying that the process stops and the last new request that it "
        "takes: what a load balancer needs to notice.",
    )
    otel: bool = Field(default=False, description="Send traces, also when no address is set for them.")
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Send traces there, by OTLP over HTTP; see OpenTelemetry for more settings of its own.",
    )

    @property
    def tracing(self) -> bool:
        """Whether traces are asked for."""
        return self.otel or self.otlp_endpoint is not None
