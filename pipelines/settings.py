"""The only reader of the environment. Every setting is ``TWINSERVE_<NAME>``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things go, how long they may take, which ports the servers get."""

    model_config = SettingsConfigDict(env_prefix="TWINSERVE_", frozen=True)

    artifacts: Path = Field(PROJECT / "artifacts", description="Where data, models and reports go")
    state: Path = Field(
        PROJECT / ".twinserve", description="Records of running servers, their logs, Prefect's home"
    )
    cases_path: str = Field(
        "", description="More folders with cases, separated as PATH is; beside models/cases"
    )
    sample: int | None = Field(
        None, ge=300, description="Rows of the case's data to take, evenly spread; all without it"
    )
    constants: Path | None = Field(
        None,
        description="A constants.json computed elsewhere, instead of by numpy over the train split",
    )
    tfx: bool = Field(
        True,
        description="Whether TFX validates, computes constants and evaluates, for a case with spans",
    )
    beam_runner: str = Field(
        "", description="Beam's runner for TFX, such as FlinkRunner; empty for the local one"
    )
    beam_options: str = Field("", description="Its options, as on a command line")
    threads: int = Field(
        max(1, (os.cpu_count() or 2) // 2),
        ge=1,
        description="Threads a framework's process may use; two of them run side by side",
    )
    worker_timeout_seconds: float = Field(1800, gt=0, description="One framework's one step")
    startup_timeout_seconds: float = Field(120, gt=0, description="A server's way to readiness")
    request_timeout_seconds: float = Field(30, gt=0, description="One request")
    tfserving_rest_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    tfserving_grpc_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    torchserve_rest_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    torchserve_grpc_port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    launcher: Literal["auto", "process", "docker"] = Field(
        "auto",
        description="Where servers run; auto takes containers where an engine and the images are",
    )
    tfserving_image: str = Field(
        "", description="Instead of the official TF Serving image, or the embedded server's"
    )
    torchserve_image: str = Field("", description="Instead of the one that `make images` builds")
    container_memory_mb: int = Field(
        2048, ge=0, description="A container's limit in MiB; 0 sets none"
    )
    container_cpus: float = Field(0, ge=0, description="A container's limit in cores; 0 sets none")
    drain_seconds: float = Field(
        2, ge=0, description="How long a replaced TorchServe version stays for its last requests"
    )

    @property
    def case_folders(self) -> list[Path]:
        return [
            Path(each).expanduser().resolve() for each in self.cases_path.split(os.pathsep) if each
        ]

    @property
    def records(self) -> Path:
        """Records of the servers that run."""
        return self.state.resolve() / "servers"


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: naming each variable that cannot be used.
    """
    try:
        settings = Settings()
        return settings.model_copy(
            update={"artifacts": settings.artifacts.resolve(), "state": settings.state.resolve()}
        )
    except ValidationError as error:
        problems = "; ".join(
            f"TWINSERVE_{'_'.join(str(part) for part in each['loc']).upper()}: {each['msg']}"
            for each in error.errors()
        )
        raise SettingsError(
            f"The environment holds settings that cannot be used: {problems}.",
            "`python -m pipelines settings` lists all of them with their meaning.",
        ) from error
