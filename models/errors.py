"""Every error that TwinServe raises on purpose.

::

    TwinServeError                 message + hint; the command line prints both and exits with 1
    ├── SettingsError              a setting or a flow parameter cannot be used
    ├── CaseError                  a case folder cannot be used
    │   ├── UnknownCase            no folder of that name
    │   └── ContractMismatch       a network disagrees with the contract, or with its twin
    ├── ArtifactError              a file of ours cannot be used
    │   ├── ArtifactMissing        it was never finished, or it was deleted
    │   ├── ArtifactCorrupt        its digest is not the one in the manifest
    │   └── StorageError           the disk is full, or the folder cannot be written
    ├── WorkerError                a framework's process failed or was killed
    │   └── EnvironmentMissing     TFX's own environment is not there and cannot be made
    ├── DataError                  rows that came in cannot be used
    │   ├── SpanError              a span of them is missing, broken or empty
    │   ├── SchemaError            the schema cannot be read
    │   └── DataAnomaly            they are not what the schema expects
    ├── EvaluationError            predictions cannot be judged
    │   ├── BaselineMissing        there is no model in service to compare with, and one was asked for
    │   └── NotBlessed             a version may not be pushed
    ├── ParityError                two predictors cannot be compared at all
    │   ├── NameMismatch           outputs have other names
    │   ├── ShapeMismatch          outputs have other shapes
    │   └── NotFinite              outputs hold NaN or infinity
    ├── ServerError                a server cannot be used
    │   ├── AlreadyServing         the servers of this case were left running before
    │   ├── ServerMissing          the program (or the Java under it) is not installed
    │   │   ├── EngineUnavailable  no Docker engine answers, or it may not be used
    │   │   └── ImageMissing       the container's image is not here
    │   ├── PortInUse              somebody else listens there
    │   ├── VersionSkew            the programs inside are known not to read the files
    │   ├── ServerDied             the process ended before it was asked to
    │   └── ServerNotReady         the deadline passed
    ├── RequestError               a server answered, but not with a prediction
    │   ├── BadRequest             HTTP 4xx, or the matching gRPC status
    │   ├── ServerFault            HTTP 5xx, or the matching gRPC status
    │   └── Unreachable            no answer within the deadline
    ├── ProgramMissing             a program that a benchmark compares with is not installed
    ├── NotComparable              two measurements were not made alike
    └── ChecksFailed               at least one check said no
"""

from __future__ import annotations


class TwinServeError(Exception):
    """What went wrong in one sentence, and what to do about it.

    Args:
        message: the problem, with the names and figures that identify it.
        hint: what the reader should do next; empty where the message says it all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class SettingsError(TwinServeError):
    """A setting or a flow parameter cannot be used."""


class CaseError(TwinServeError):
    """A case folder cannot be used."""


class UnknownCase(CaseError):
    """There is no case of that name."""


class ContractMismatch(CaseError):
    """A network disagrees with the case's contract, or with its twin."""


class ArtifactError(TwinServeError):
    """A file of ours cannot be used."""


class ArtifactMissing(ArtifactError):
    """The file was never finished, or it was deleted."""


class ArtifactCorrupt(ArtifactError):
    """The file's digest is not the one in its manifest."""


class StorageError(ArtifactError):
    """The disk is full, or the folder cannot be written."""


class WorkerError(TwinServeError):
    """A framework's process failed or was killed."""


class EnvironmentMissing(WorkerError):
    """TFX's own environment is not there and cannot be made."""


class DataError(TwinServeError):
    """Rows that came in cannot be used."""


class SpanError(DataError):
    """A span's file is missing, is broken, or holds no rows."""


class SchemaError(DataError):
    """The schema cannot be read."""


class DataAnomaly(DataError):
    """Rows are not what the schema expects; the message names feature, expectation and finding."""


class EvaluationError(TwinServeError):
    """Predictions cannot be judged."""


class BaselineMissing(EvaluationError):
    """There is no model in service to compare with, and a comparison was asked for."""


class NotBlessed(EvaluationError):
    """A framework's blessing is missing or says no."""


class ParityError(TwinServeError):
    """Two predictors cannot be compared at all."""


class NameMismatch(ParityError):
    """The outputs have other names than the contract says."""


class ShapeMismatch(ParityError):
    """An output has another shape or dtype than the reference."""


class NotFinite(ParityError):
    """An output holds NaN or infinity."""


class ServerError(TwinServeError):
    """A server cannot be used."""


class AlreadyServing(ServerError):
    """The servers of this case were left running before."""


class ServerMissing(ServerError):
    """The server's program, or the Java under it, is not installed."""


class EngineUnavailable(ServerMissing):
    """No Docker engine answers, or this user may not use it."""


class ImageMissing(ServerMissing):
    """The image that the container is to be made from is not on this machine."""


class PortInUse(ServerError):
    """Somebody else listens on a port that the server needs."""


class VersionSkew(ServerError):
    """The versions inside the server are known not to work with the files that it is to serve."""


class ServerDied(ServerError):
    """The server's process or container ended before it was asked to."""


class ServerNotReady(ServerError):
    """The server was not ready when the deadline passed."""


class RequestError(TwinServeError):
    """A server answered, but not with a prediction.

    Args:
        message: the server's own words.
        status: HTTP status code, or the gRPC status code's name (``INVALID_ARGUMENT``).
    """

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class BadRequest(RequestError):
    """The server blames the request: HTTP 4xx, or the matching gRPC status."""


class ServerFault(RequestError):
    """The server blames itself: HTTP 5xx, or the matching gRPC status."""


class Unreachable(RequestError):
    """No answer within the deadline."""


class ProgramMissing(TwinServeError):
    """A program that a benchmark compares with is not installed."""


class NotComparable(TwinServeError):
    """Two measurements were not made alike, so that comparing them would say nothing."""


class ChecksFailed(TwinServeError):
    """At least one check said no.

    Args:
        message: how many, and the first ones.
        hint: where to look.
        report: path of the report that was written all the same; empty where there is none yet.
    """

    def __init__(self, message: str, hint: str = "", report: str = "") -> None:
        super().__init__(message, hint)
        self.report = report


def error_named(name: str) -> type[TwinServeError]:
    """The error class of that name; ``WorkerError`` for a name that is not ours."""
    found = globals().get(name)
    if isinstance(found, type) and issubclass(found, TwinServeError):
        return found
    return WorkerError
