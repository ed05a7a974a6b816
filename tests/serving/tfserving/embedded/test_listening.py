"""Where the server listens: sockets of files, and one port for two protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    GetModelStatusRequest,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
)
from serving.tfserving.tensor_proto import to_proto
from tests.serving.tfserving.embedded.configured import DEADLINE_SECONDS, Start, Store, listed

pytestmark = pytest.mark.servers

Reference = dict[str, np.ndarray]
Wait = Callable[[Callable[[], bool]], None]


def test_a_unix_socket_and_channel_arguments(
    start: Start, store: Store, reference: Reference, tmp_path: Path
) -> None:
    """The arguments are those of TF Serving's own test; one alone shows that they arrive."""
    running = start(
        listed(store.put("digits", 1)),
        "--grpc_socket_path=grpc.sock",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb,"
        "grpc.max_receive_message_length=2000",
    )
    [path] = running.server.log_path.parent.rglob("grpc.sock")
    with grpc.insecure_channel(f"unix:{path}") as channel:
        request = PredictRequest()
        request.model_spec.name = "digits"
        request.inputs["image"].CopyFrom(to_proto(reference["image"][:1], as_content=True))
        told = PredictionServiceStub(channel).Predict(request, timeout=30)
        assert told.model_spec.version.value == 1
        request.inputs["image"].CopyFrom(to_proto(reference["image"], as_content=True))
        with pytest.raises(grpc.RpcError) as large:
            PredictionServiceStub(channel).Predict(request, timeout=30)
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_socket_alone_is_enough(
    store: Store, tmp_path: Path, embedded_spec: Callable[..., ServerSpec], reference: Reference
) -> None:
    store.put("digits", 1)
    spec = embedded_spec("digits", store.folder / "digits", tmp_path / "work")
    path = tmp_path / "s"
    flags = ("--port=0", f"--grpc_socket_path={path}")
    server = ProcessServer(replace(spec, command=(*spec.command, *flags)))
    server.start()
    try:
        server.wait_ready(DEADLINE_SECONDS)
        with grpc.insecure_channel(f"unix:{path}") as channel:
            request = PredictRequest()
            request.model_spec.name = "digits"
            request.inputs["image"].CopyFrom(to_proto(reference["image"], as_content=True))
            assert PredictionServiceStub(channel).Predict(request, timeout=30).outputs
    finally:
        server.stop()


def test_one_port_for_both_leaves_grpc(
    store: Store, tmp_path: Path, embedded_spec: Callable[..., ServerSpec], wait_until: Wait
) -> None:
    store.put("digits", 1)
    spec = embedded_spec("digits", store.folder / "digits", tmp_path / "work")
    same = f"--rest_api_port={spec.ports['grpc']}"
    server = ProcessServer(replace(spec, command=(*spec.command, same)))
    server.start()
    try:
        wait_until(lambda: "Skipped exporting HTTP/REST API." in server.log_tail())
        with grpc.insecure_channel(spec.address("grpc")) as channel:
            request = GetModelStatusRequest()
            request.model_spec.name = "digits"
            told = ModelServiceStub(channel).GetModelStatus(request, timeout=30)
        assert [each.state for each in told.model_version_status] == [30]
    finally:
        server.stop()
