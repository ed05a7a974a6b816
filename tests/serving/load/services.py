"""A small HTTP server that answers rows rightly, wrongly, late or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from models.case import load_case
from models.parity import Tolerance
from serving.load.answers import AnswerCheck
from serving.wire.call import WireCall
from serving.wire.rows import decode_rows

CONTRACT = load_case("digits").contract
ROWS = 5

Spoil = Callable[[int], tuple[int, bytes] | None]
"""Told the number of a request; a status and a body instead of the right answer; b"" hangs up."""


def expected() -> dict[str, np.ndarray]:
    """(ROWS, 10) each."""
    logits = np.eye(ROWS, 10, dtype=np.float32) * 3
    return {"logits": logits, "probabilities": logits / 10}


def answer_to(row: int) -> bytes:
    answer = {name: rows[row].tolist() for name, rows in expected().items()}
    return json.dumps({"predictions": [answer]}).encode()


def check() -> AnswerCheck:
    return AnswerCheck(
        CONTRACT, expected(), Tolerance(atol=1e-6), lambda body: decode_rows(body, CONTRACT)
    )


class Service:
    """Answers row ``i`` to a body that says ``i``, or to an image whose first pixel does.

    Args:
        spoil: what goes wrong.
        delay_seconds: before every answer.
    """

    def __init__(self, spoil: Spoil = lambda number: None, delay_seconds: float = 0.0) -> None:
        self._spoil, self._delay = spoil, delay_seconds
        self._lock = threading.Lock()
        self.rows: list[int] = []
        self.connections: set[object] = set()
        self.at_once = self.most_at_once = 0
        self.port = 0

    def answer(self, connection: object, body: bytes) -> tuple[int, bytes]:
        document = json.loads(body)
        row = document if isinstance(document, int) else first_pixel(document)
        with self._lock:
            number = len(self.rows)
            self.rows.append(row)
            self.connections.add(connection)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._delay)
        with self._lock:
            self.at_once -= 1
        return self._spoil(number) or (200, answer_to(row))

    @contextmanager
    def running(self) -> Iterator[Service]:
        """On a free port, until the block ends."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = service.answer(self.connection, body)
                if not answer:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Not in the tests' output."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def calls(self) -> list[WireCall]:
        url = f"http://127.0.0.1:{self.port}/"
        return [WireCall("REST", url, "", (), str(row).encode()) for row in range(ROWS)]


def first_pixel(document: dict[str, list[dict[str, object]]]) -> int:
    return int(np.ravel(document["instances"][0]["image"])[0])  # type: ignore[arg-type]
