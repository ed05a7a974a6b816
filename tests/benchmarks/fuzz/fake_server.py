"""A tiny server that is wrong in one way: ``python fake_server.py MODE REST_PORT GRPC_PORT``.

It knows x / 2 + 2 of half's good request over both protocols and refuses everything else. From the
60th odd request on, and then at each of them where that makes sense, it does what its mode says.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import grpc

from benchmarks.fuzz.good import half_requests
from serving.tfserving.messages import PredictResponse

FROM = 60
GOOD_REST, GOOD_RPC = (good.sent.content for good in half_requests())
FORMS = {"page": b"text/plain"}


class Fake:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.odd = 0
        self.kept: list[Any] = []

    def is_due(self, *modes: str) -> bool:
        return self.odd >= FROM and self.mode in modes

    def count(self) -> None:
        self.odd += 1
        if self.is_due("die"):
            os._exit(3)
        if self.is_due("grow"):
            self.kept.append(bytearray(os.urandom(1 << 20)))
        if self.is_due("files"):
            self.kept.append(os.open(os.devnull, os.O_RDONLY))
        if self.is_due("trace") and self.odd == FROM:
            print("Traceback (most recent call last)\nKeyError: 'x'", file=sys.stderr, flush=True)
        if self.is_due("busy") and self.odd == FROM:
            time.sleep(3)

    async def answer_rest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                size = request.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                request += await reader.readexactly(int(size) if size.isdigit() else 0)
                await self.answer_one(request, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()

    async def answer_one(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        status, body, form = b"400 no", b'{"error": "no"}', b"application/json"
        if request == GOOD_REST:
            last = b"4.75" if self.is_due("wrong") else b"4.5"
            status, body = b"200 OK", b'{"predictions": [2.5, 3.0, %s]}' % last
        else:
            self.count()
            if self.is_due("hang"):
                await asyncio.sleep(3)
            if self.is_due("close"):
                raise ConnectionError
            status = b"500 oh" if self.is_due("status") else status
            body = b"oh" if self.is_due("page", "word") else body
            form = FORMS.get(self.mode, form)
        head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, form, len(body)) + body)

    async def answer_rpc(self, request: bytes, context: Any) -> bytes:
        if request == GOOD_RPC:
            return good_response(4.75 if self.is_due("wrong") else 4.5)
        self.count()
        code = self.mode.upper() if self.is_due("internal", "unknown") else "INVALID_ARGUMENT"
        await context.abort(grpc.StatusCode[code], "" if self.is_due("dumb") else "no")
        raise AssertionError


class Handler(grpc.GenericRpcHandler):
    def __init__(self, fake: Fake) -> None:
        self.fake = fake

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self.fake.answer_rpc)


def good_response(last: float) -> bytes:
    response = PredictResponse()
    response.outputs["y"].dtype = 1
    response.outputs["y"].tensor_shape.dim.add(size=3)
    response.outputs["y"].float_val.extend([2.5, 3.0, last])
    return bytes(response.SerializeToString())


async def main(mode: str, rest: int, rpc: int) -> None:
    fake = Fake(mode)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(fake),))
    server.add_insecure_port(f"127.0.0.1:{rpc}")
    await server.start()
    web = await asyncio.start_server(fake.answer_rest, "127.0.0.1", rest)
    async with web:
        await web.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
