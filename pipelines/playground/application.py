"""The application: a page, its case, the state of the servers, questions and searches. Nothing is stored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from models.contract import Tensors
from models.errors import RequestError, TwinServeError
from pipelines.playground.catalogue import Catalogue
from pipelines.playground.engines import answer
from pipelines.playground.guards import (
    HOSTS,
    Rate,
    SameOrigin,
    SecurityHeaders,
    SmallBodies,
    refusal,
)
from pipelines.playground.reading import (
    LARGEST_BODY,
    Hunt,
    Question,
    parse_question,
    plain_row,
    read_question,
)
from pipelines.playground.search import Search
from pipelines.playground.watch import Watch, Watched

PAGE = Path(__file__).parent / "page"
MOST_QUESTIONS = 4
"""Asked at once, by all pages together; each asks six engines."""
PER_SECOND, BURST = 30.0, 60
ENGINES = 6


class Playground:
    """The routes of one case.

    Args:
        catalogue: the case.
        fleet: whom to ask.
        rate: how many questions are taken.
    """

    def __init__(self, catalogue: Catalogue, fleet: Watched, rate: Rate | None = None) -> None:
        self._catalogue = catalogue
        self._described = _described(catalogue)
        self._fleet = fleet
        self._rate = rate or Rate(PER_SECOND, BURST)
        self._asked = 0
        self._searching = False
        self._threads = ThreadPoolExecutor(MOST_QUESTIONS * ENGINES, "playground")
        self.watch = Watch(fleet)

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/api/case", self.case),
                Route("/api/rows/{number:int}", self.row),
                Route("/api/state", self.state),
                Route("/api/ask", self.ask, methods=["POST"]),
                Route("/api/search", self.search, methods=["POST"]),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
            middleware=[
                Middleware(SecurityHeaders),
                Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
                Middleware(SameOrigin),
                Middleware(SmallBodies, limit=LARGEST_BODY),
            ],
            lifespan=self._lifespan,
        )

    async def page(self, _request: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def case(self, _request: Request) -> Response:
        return _json(self._described)

    async def row(self, request: Request) -> Response:
        return _json(self._catalogue.row(request.path_params["number"]))

    async def state(self, _request: Request) -> Response:
        """How the servers are. Pages ask again and again: a browser opens six connections to a host, and six
        streams would leave the seventh page none."""
        return _json({"page": self._described["page"], **self.watch.state()})

    async def ask(self, request: Request) -> Response:
        """Lines of JSON: the row that is asked about, then every answer as it comes."""
        if not self._rate.admits():
            return refusal(429, "Too many questions; the page asks again in a moment.")
        if self._asked >= MOST_QUESTIONS:
            return refusal(429, "Too many questions at once; the page asks again in a moment.")
        self._asked += 1  # before the first await, so that no other request gets in between
        try:
            question = parse_question(Question, await request.body())
            inputs = await self._read(question)
        except BaseException as error:
            self._asked -= 1
            if isinstance(error, RequestError):
                return refusal(422, error.message)
            raise
        return _lines(self._answers(inputs), self._question_ended)

    async def search(self, request: Request) -> Response:
        """Lines of JSON: progress and finds. One search at a time; it ends when its page goes away."""
        if not self._rate.admits():
            return refusal(429, "Too many questions; try again in a moment.")
        if self._searching:
            return refusal(429, "A search is running already, maybe in another tab.")
        self._searching = True
        try:
            hunt = parse_question(Hunt, await request.body())
            start = await self._read(hunt)
        except BaseException as error:
            self._searching = False
            if isinstance(error, RequestError):
                return refusal(422, error.message)
            raise
        catalogue = self._catalogue
        search = Search(
            catalogue.case.contract,
            self._fleet.engines(),
            hunt.kind,
            catalogue.changes,
            catalogue.split,
            start,
            hunt.seed,
        )
        return _lines(self._finds(search.steps()), self._search_ended)

    async def _read(self, question: Question) -> Tensors | None:
        catalogue = self._catalogue
        read: Tensors | None = await self._in_thread(
            partial(read_question, question, catalogue.case.contract, catalogue.frame)
        )
        return read

    async def _answers(self, inputs: Tensors | None) -> AsyncIterator[dict[str, Any]]:
        if inputs is None:
            yield {"inputs": None}
            return
        yield {"inputs": plain_row(inputs)}
        contract = self._catalogue.case.contract
        asked = [
            self._in_thread(partial(answer, each, inputs, contract))
            for each in self._fleet.engines()
        ]
        for each in asyncio.as_completed(asked):
            yield await each

    async def _finds(self, steps: Iterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
        """A step at a time, so that a page that goes away ends the search after its batch."""
        try:
            while (step := await self._in_thread(partial(next, steps, None))) is not None:
                yield step
        except TwinServeError as error:
            yield {"done": "error", "problem": error.message}

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _question_ended(self) -> None:
        self._asked -= 1

    def _search_ended(self) -> None:
        self._searching = False

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(self.watch.run())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            self._threads.shutdown(wait=False, cancel_futures=True)


def _described(catalogue: Catalogue) -> dict[str, Any]:
    """The case, and ``page``: a digest of it and of the files that show it. A page that was opened for another
    case, or for an older version of this one, knows by it that it must load itself anew."""
    case = catalogue.describe()
    digest = hashlib.sha256(_dump(case))
    for path in sorted(PAGE.iterdir()):
        digest.update(path.read_bytes())
    return {**case, "page": digest.hexdigest()}


class _Lines(StreamingResponse):
    """Says when it has ended, however it ended: also when it never began."""

    def __init__(self, lines: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._ended = ended

    async def __call__(self, *arguments: Any) -> None:
        try:
            await super().__call__(*arguments)
        finally:
            self._ended()


def _lines(values: AsyncIterator[dict[str, Any]], ended: Callable[[], None]) -> Response:
    async def encoded() -> AsyncIterator[bytes]:
        async for value in values:
            yield _dump(value) + b"\n"

    return _Lines(encoded(), ended)


def _json(value: Any) -> Response:
    return Response(_dump(value), media_type="application/json")


def _dump(value: Any) -> bytes:
    """JSON; NaN becomes null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
