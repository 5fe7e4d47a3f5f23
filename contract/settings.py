"""The settings that API and workers share, read once from ``RADII_*``."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.environment import DEFAULT_REDIS_URL, RedisUrl, with_password_file

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ProcessSettings(BaseSettings):
    """Settings of any process: where Redis is, and where logs and traces go."""

    model_config = SettingsConfigDict(
        env_prefix="RADII_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    redis_url: RedisUrl = DEFAULT_REDIS_URL
    redis_password_file: Path | None = Field(
        default=None, description="File that holds the password, instead of the one in `redis_url`."
    )
    log_format: LogFormat = Field(
        default="auto", description="Lines of JSON, or for a console; auto: for a console on a terminal only."
    )
    log_level: LogLevel = Field(default="info", description="Less important lines are not written.")
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

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_password_file(values)
