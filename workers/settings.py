"""What an operator may set for workers, read once from ``RADII_*`` and passed down."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.environment import DEFAULT_REDIS_URL, RedisUrl, with_password_file
from workers.logs import LogFormat, LogLevel


class WorkerSettings(BaseSettings):
    """Settings of one worker."""

    model_config = SettingsConfigDict(
        env_prefix="RADII_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    redis_url: RedisUrl = DEFAULT_REDIS_URL
    redis_password_file: Path | None = Field(
        default=None, description="File that holds the password, instead of the one in `redis_url`."
    )
    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Further folders of bundles, separated like PATH."
    )
    default_model: str | None = Field(default=None, description="Loaded before the first request.")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: Literal["auto", "openvino", "compiled", "eager"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of the engine; all cores if unset."
    )
    niceness: int = Field(
        default=5, ge=0, le=19, description="Of the engine: on a machine that they share, the API goes first."
    )
    resident_models: int = Field(default=4, ge=1, description="Models kept loaded; the oldest goes first.")
    resident_variants: int = Field(
        default=16, ge=1, description="Models adapted to a noise that are kept; the oldest goes first."
    )
    resident_memories: int = Field(
        default=8, ge=1, description="Memories of certified regions kept mirrored; the oldest goes first."
    )
    stop_grace: float = Field(default=600, ge=0, description="Seconds that a running job gets at shutdown.")
    engine_max_rss_mb: int = Field(
        default=0,
        ge=0,
        description="Resident MiB beyond which an engine is replaced between two jobs; 0: see the growth.",
    )
    engine_max_growth_mb: int = Field(
        default=4096,
        ge=0,
        description="MiB that an engine may grow beyond what it took with its first model loaded; 0: any.",
    )
    engine_max_jobs: int = Field(
        default=0, ge=0, description="An engine is replaced after so many jobs; 0: never."
    )
    engine_hang_seconds: float = Field(
        default=60,
        gt=0,
        description="An engine that works on for so long when nobody waits any more is killed.",
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

    def environment(self) -> dict[str, str]:
        """Returns the environment for a child process that must read the very same settings."""
        chosen = {
            f"RADII_{name.upper()}": os.pathsep.join(map(str, value)) if name == "models" else str(value)
            for name, value in self
            if value is not None
        }
        # Waiting threads that spin slow a busy machine many times over and speed a quiet one up little.
        return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **chosen}

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_password_file(values)

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(Path(part) for part in value.split(os.pathsep) if part) if isinstance(value, str) else value
        )
