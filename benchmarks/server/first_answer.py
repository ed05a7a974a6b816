"""Ready is a server that has answered right once."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from benchmarks.server.dialects import DIALECTS
from benchmarks.server.subject import Subject
from serving.server import Probe, Readiness

ASK_SECONDS = 5.0
_OK = 200


@dataclass(frozen=True)
class FirstAnswer:
    """Asks for one row over REST.

    A wrong answer ends the start: a server that answers wrongly is not measured. Any other status
    than success means that it may still be on its way.

    Attributes:
        dialect: of its REST interface.
        host: where it listens.
        port: likewise.
        subject: the model.
    """

    dialect: str
    host: str
    port: int
    subject: Subject

    def __call__(self) -> Probe:
        dialect, rows = DIALECTS[self.dialect], self.subject.rows[:1]
        path = dialect.path.format(name=self.subject.name)
        try:
            status, body = self._post(path, dialect.write(self.subject, rows))
        except (OSError, http.client.HTTPException) as error:
            return Probe(Readiness.NOT_YET, str(error) or type(error).__name__)
        seen = f"HTTP {status}: {body[:300].decode(errors='replace')}"
        if status != _OK:
            return Probe(Readiness.NOT_YET, seen)
        return Probe(Readiness.READY if self._is_right(body) else Readiness.NEVER, seen)

    def _is_right(self, body: bytes) -> bool:
        try:
            found = DIALECTS[self.dialect].read(self.subject, body)
        except (ValueError, KeyError, TypeError, IndexError):
            return False
        return self.subject.is_right(0, 1, found)

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ASK_SECONDS)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
