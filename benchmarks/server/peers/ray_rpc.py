"""The gRPC service behind Ray Serve's proxy: rows as raw float32 in, outputs as raw float32 out.

Ray's proxy wants a user's ``add_..._to_server``. TF Serving's own would make the proxy's process
import TensorFlow and take longer to start than Ray waits; bytes in protobuf's ``BytesValue`` cost
the least that gRPC can.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

SERVICE = "bench.Rows"


def add_RowsServicer_to_server(servicer: Any, server: Any) -> None:  # noqa: N802  # Ray's form
    """``/bench.Rows/Predict``: BytesValue to BytesValue."""
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.Predict,
        request_deserializer=BytesValue.FromString,
        response_serializer=BytesValue.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Predict": handler}),)
    )
