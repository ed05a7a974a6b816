"""The four ways to ask: two servers, each over REST and over gRPC, all of them Predictors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.contract import Contract
from models.framework import FrameworkName
from serving.tfserving import client as tfserving
from serving.torchserve import client as torchserve
from serving.torchserve.tokens import Tokens

PROTOCOLS = ("REST", "gRPC")
FRAMEWORK_OF: dict[str, FrameworkName] = {"tfserving": "tensorflow", "torchserve": "pytorch"}

Client = tfserving.RestClient | tfserving.GrpcClient | torchserve.RestClient | torchserve.GrpcClient


class Reachable(Protocol):
    """What a ServerSpec, and the record of a running server, know of how to reach it."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def ports(self) -> Mapping[str, int]: ...
    @property
    def workdir(self) -> Path | str: ...
    @property
    def container(self) -> str: ...


@dataclass(frozen=True)
class Endpoint:
    """One server over one protocol.

    Attributes:
        server: ``tfserving`` or ``torchserve``.
        label: what exactly runs there, for people.
        protocol: ``REST`` or ``gRPC``.
        host: where it listens.
        ports: port by purpose.
        workdir: the server's folder; TorchServe's keys lie there.
        container: name of the container that it runs in; empty for a process.
    """

    server: str
    label: str
    protocol: str
    host: str
    ports: Mapping[str, int]
    workdir: Path
    container: str = ""

    @property
    def title(self) -> str:
        return f"{self.label} · {self.protocol}"

    @property
    def framework(self) -> FrameworkName:
        return FRAMEWORK_OF[self.server]

    def connect(self, model_name: str, contract: Contract, timeout_seconds: float = 30.0) -> Client:
        """A client for this endpoint; use it as a context manager."""
        if self.server == "tfserving":
            return self._tfserving(model_name, contract, timeout_seconds)
        return self._torchserve(model_name, contract, timeout_seconds)

    def _tfserving(self, model_name: str, contract: Contract, timeout_seconds: float) -> Client:
        if self.protocol == "REST":
            return tfserving.RestClient(
                self._url("rest"), model_name, contract, timeout_seconds=timeout_seconds
            )
        return tfserving.GrpcClient(
            self._address("grpc"), model_name, contract, timeout_seconds=timeout_seconds
        )

    def _torchserve(self, model_name: str, contract: Contract, timeout_seconds: float) -> Client:
        management = self._url("management")
        tokens = Tokens(self.workdir, management, container=self.container)
        if self.protocol == "REST":
            return torchserve.RestClient(
                self._url("rest"),
                management,
                model_name,
                contract,
                tokens,
                timeout_seconds=timeout_seconds,
            )
        return torchserve.GrpcClient(
            self._address("grpc"),
            management,
            model_name,
            contract,
            tokens,
            timeout_seconds=timeout_seconds,
        )

    def _url(self, purpose: str) -> str:
        return f"http://{self._address(purpose)}"

    def _address(self, purpose: str) -> str:
        return f"{self.host}:{self.ports[purpose]}"


def endpoints_of(server: Reachable) -> list[Endpoint]:
    """Both endpoints of a server."""
    return [
        Endpoint(
            server.name,
            server.label,
            protocol,
            server.host,
            dict(server.ports),
            Path(server.workdir),
            server.container,
        )
        for protocol in PROTOCOLS
    ]
