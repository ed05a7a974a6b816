"""Plain FastAPI on uvicorn with uvloop and httptools: one endpoint, orjson both ways.

The endpoint is ``async`` and calls the model in the event loop: for a model this quick a thread
costs more than the call. FastAPI's own models and encoders are not used; they would only cost time.
"""

from __future__ import annotations

import os

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from saved import Saved

saved = Saved()
app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    instances = orjson.loads(await request.body())["instances"]
    body = orjson.dumps({"predictions": saved.answer(instances)})
    return Response(body, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
