"""Ray Serve: one replica; over HTTP row JSON, over gRPC raw float32 (``ray_rpc``).

https://docs.ray.io/en/latest/serve: ``serve.deployment``, ``serve.batch``, and a gRPC proxy that
takes any service's ``add_..._to_server``. Ray's own processes are children of this one, which
takes them down when it is told to stop.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

import numpy as np
import orjson
import ray
from google.protobuf.wrappers_pb2 import BytesValue
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions
from starlette.requests import Request
from starlette.responses import Response

BATCH = int(os.environ["BENCH_BATCH"])
WAIT_SECONDS = float(os.environ["BENCH_WAIT_MS"]) / 1000
SERVICER = "ray_rpc.add_RowsServicer_to_server"

Outputs = dict[str, np.ndarray]


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Served:
    def __init__(self) -> None:
        from saved import Saved  # noqa: PLC0415  # TensorFlow only in the replica

        self.saved = Saved()

    async def __call__(self, request: Request) -> Response:
        from saved import to_rows  # noqa: PLC0415  # as above

        instances = orjson.loads(await request.body())["instances"]
        rows = np.asarray([each[self.saved.input_name] for each in instances], np.float32)
        body = orjson.dumps({"predictions": to_rows(await self._outputs(rows))})
        return Response(body, media_type="application/json")

    async def Predict(self, request: BytesValue) -> BytesValue:  # noqa: N802  # the method's name
        rows = np.frombuffer(request.value, np.float32).reshape(-1, *self.saved.row_shape)
        outputs = await self._outputs(rows)
        return BytesValue(value=b"".join(array.tobytes() for array in outputs.values()))

    async def _outputs(self, rows: np.ndarray) -> Outputs:
        if BATCH > 1:
            outputs: Outputs = await self._batched(rows)
            return outputs
        return self.saved.call(rows)

    @serve.batch(max_batch_size=max(BATCH, 1), batch_wait_timeout_s=WAIT_SECONDS)
    async def _batched(self, requests: list[np.ndarray]) -> list[Outputs]:
        ends = np.cumsum([len(each) for each in requests])[:-1]
        whole = self.saved.call(np.concatenate(requests))
        parts = {name: np.split(array, ends) for name, array in whole.items()}
        return [{name: parts[name][at] for name in parts} for at in range(len(requests))]


def main() -> None:
    ray.init(
        num_cpus=4,  # slots for its own actors; it does not bind cores
        include_dashboard=False,
        logging_level=logging.WARNING,
        object_store_memory=100 * 2**20,
        _temp_dir=os.environ["BENCH_RAY_DIR"],
    )
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=int(os.environ["BENCH_PORT"])),
        grpc_options=gRPCOptions(
            port=int(os.environ["BENCH_GRPC_PORT"]), grpc_servicer_functions=[SERVICER]
        ),
        logging_config={"enable_access_log": False},
    )
    serve.run(Served.bind(), name="bench", route_prefix="/predict")
    # After Ray has put its own in place.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
    ray.shutdown()
    sys.exit(0)


if __name__ == "__main__":
    main()
