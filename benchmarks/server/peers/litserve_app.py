"""LitServe: a LitAPI with one worker and its fast queue (ZeroMQ), as its documentation advises.

https://lightning.ai/docs/litserve: ``setup``, ``decode_request``, ``batch``, ``predict``,
``unbatch``, ``encode_response``.
"""

from __future__ import annotations

import os

import litserve
import numpy as np

BATCH = int(os.environ["BENCH_BATCH"])
WAIT_SECONDS = float(os.environ["BENCH_WAIT_MS"]) / 1000

Rows = np.ndarray


class Served(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        from saved import Saved  # noqa: PLC0415  # TensorFlow only in the worker

        self.saved = Saved()

    def decode_request(self, request: dict[str, list[dict[str, object]]]) -> Rows:
        return np.asarray(
            [each[self.saved.input_name] for each in request["instances"]], np.float32
        )

    def batch(self, inputs: list[Rows]) -> tuple[Rows, list[int]]:
        return np.concatenate(inputs), [len(each) for each in inputs]

    def predict(self, rows: object) -> object:
        if isinstance(rows, tuple):
            return self.saved.call(rows[0]), rows[1]
        return self.saved.call(rows)

    def unbatch(self, output: tuple[dict[str, Rows], list[int]]) -> list[dict[str, Rows]]:
        arrays, lengths = output
        ends = np.cumsum(lengths)[:-1]
        parts = {name: np.split(array, ends) for name, array in arrays.items()}
        return [{name: parts[name][at] for name in parts} for at in range(len(lengths))]

    def encode_response(self, output: dict[str, Rows]) -> dict[str, object]:
        from saved import to_rows  # noqa: PLC0415  # as above

        return {"predictions": to_rows(output)}


if __name__ == "__main__":
    options = {"max_batch_size": BATCH, "batch_timeout": WAIT_SECONDS} if BATCH > 1 else {}
    server = litserve.LitServer(
        Served(**options), accelerator="cpu", workers_per_device=1, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
