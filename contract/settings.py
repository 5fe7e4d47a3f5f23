"""The settings that API and workers share, read once from ``RADII_*``."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract import Frozen
from contract.redis_url import DEFAULT_REDIS_URL, RedisUrl, with_password_file

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Timing(Frozen):
    """How often an engine reports to Redis, and how long a report counts; the same for API and workers."""

    engine_heartbeat_seconds: float = Field(
        default=5,
        gt=0,
        description="Seconds between two reports of an engine, to Redis and in its status file.",
    )
    engine_alive_seconds: float = Field(
        default=20, gt=0, description="An engine is ready for this many seconds after each report."
    )
    engine_known_seconds: float = Field(
        default=600,
        gt=0,
        description="Jobs for the models of an engine are accepted for this many seconds after its last "
        "report: it may be restarting.",
    )

    longer_than: ClassVar[tuple[tuple[str, str], ...]] = (
        ("engine_alive_seconds", "engine_heartbeat_seconds"),
        ("engine_known_seconds", "engine_alive_seconds"),
    )

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        for longer, shorter in self.longer_than:
            value, least = getattr(self, longer), getattr(self, shorter)
            if value <= least:
                raise ValueError(f"'{longer}' must be > '{shorter}' ({least:g}), got {value:g}")
        return self


class ProcessSettings(BaseSettings):
    """Settings of every process: where Redis is, and where logs and traces go."""

    model_config = SettingsConfigDict(
        env_prefix="RADII_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    redis_url: RedisUrl = DEFAULT_REDIS_URL
    redis_password_file: Path | None = Field(
        default=None, description="File that holds the password, instead of the one in `redis_url`."
    )
    log_format: LogFormat = Field(
        default="auto",
        description="`json`: one object per line; `console`: for people; `auto`: `console` on a terminal.",
    )
    log_level: LogLevel = Field(default="info", description="Lowest level that is logged.")
    otel: bool = Field(default=False, description="Send traces even if no address is set for them.")
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Send traces to this address, by OTLP over HTTP. OpenTelemetry has more settings.",
    )

    timing: Timing = Timing()

    @property
    def tracing(self) -> bool:
        """Whether traces are asked for."""
        return self.otel or self.otlp_endpoint is not None

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_password_file(values)


class ExecutionSettings(BaseSettings):
    """Which bundles there are, and how a process executes them: a worker, or an evaluation."""

    model_config = ProcessSettings.model_config

    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="More folders of bundles, separated as in `PATH`."
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "openvino", "compiled", "eager"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of the engine; default: all cores."
    )

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(Path(part) for part in value.split(os.pathsep) if part) if isinstance(value, str) else value
        )
