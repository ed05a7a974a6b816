"""A framework's own process: ``python -m models.worker <framework> <verb> request.json``.

The child writes one JSON object a line to its standard output: any number of ``{"progress": ...}``, then one
``{"result": ...}`` or ``{"error": ...}``. Whatever frameworks print goes to standard error, which the parent keeps
in a log. The child ends itself when its standard input closes: a parent that is killed leaves no orphan.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from models.errors import StorageError, TwinServeError, WorkerError, error_named
from models.parent import GRACE_SECONDS, end_with_parent

PROJECT = Path(__file__).resolve().parent.parent
LOG_LINES = 15
END_SECONDS = 30
"""How long a worker that is asked to end may take, before it is killed with all that it has started."""
WORKER = (sys.executable, "-m", "models.worker")

ProgressListener = Callable[[Mapping[str, Any]], None]

_running: set[subprocess.Popen[str]] = set()
_ended_for_good = threading.Event()


def call(
    framework: str,
    verb: str,
    request: Mapping[str, Any],
    *,
    threads: int,
    timeout_seconds: float,
    on_progress: ProgressListener | None = None,
) -> dict[str, Any]:
    """Run one verb in a process of its own and wait for it.

    Args:
        framework: ``tensorflow`` or ``pytorch``.
        verb: a function of ``models.verbs``.
        request: its request; must be JSON.
        threads: threads that the framework may use.
        timeout_seconds: then the process is killed.
        on_progress: told every progress object.

    Returns:
        the verb's result.

    Raises:
        WorkerError: the process crashed, was killed, or took too long.
        TwinServeError: whatever the verb raised, by its own class.
    """
    return call_process(
        Program(f"The {framework} process for {verb!r}", (*WORKER, framework, verb)),
        {"threads": threads, **request},
        timeout_seconds=timeout_seconds,
        on_progress=on_progress,
    )


@dataclass(frozen=True)
class Program:
    """What a worker runs.

    Attributes:
        name: what it is called where it failed, the subject of a sentence.
        command: its arguments; the path of the request's file is added.
        environment: variables beside those of this process.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def call_process(
    program: Program,
    request: Mapping[str, Any],
    *,
    timeout_seconds: float,
    on_progress: ProgressListener | None = None,
) -> dict[str, Any]:
    """Start a worker, hand it a request, and wait for its result.

    Args:
        program: must call :func:`answer`.
        request: must be JSON.
        timeout_seconds: then the process is killed.
        on_progress: told every progress object.

    Returns:
        its result.

    Raises:
        WorkerError: the process crashed, was killed, or took too long.
        TwinServeError: whatever it raised, by its own class.
    """
    with tempfile.TemporaryDirectory(prefix="twinserve-") as scratch:
        request_path, log_path = Path(scratch, "request.json"), Path(scratch, "log")
        request_path.write_text(json.dumps(request))
        timed_out = threading.Event()
        with log_path.open("w") as log:
            process = _start(program, request_path, log)
            killer = threading.Timer(timeout_seconds, _kill, (process, timed_out))
            killer.start()
            try:
                last = _listen(process, on_progress)
                code = process.wait()
            finally:
                killer.cancel()
                _end(process)
        if "result" in last:
            result: dict[str, Any] = last["result"]
            return result
        raise _failure(program.name, last, code, timed_out.is_set(), log_path)


def stop_all(for_good: bool = False) -> None:
    """End every worker that this process has running; their callers get WorkerError.

    Args:
        for_good: start none any more, because this process is about to end.
    """
    if for_good:
        _ended_for_good.set()
    asked = list(_running)
    for process in asked:
        with suppress(ProcessLookupError):
            process.terminate()
    late = threading.Timer(END_SECONDS, _kill_groups, (asked,))
    late.daemon = True
    late.start()


def _start(program: Program, request: Path, log: IO[str]) -> subprocess.Popen[str]:
    if _ended_for_good.is_set():
        raise WorkerError("The run was stopped.")
    process = subprocess.Popen(
        [*program.command, str(request)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        # Ctrl-C goes to us alone; we end the worker.
        start_new_session=True,
        env={**os.environ, **QUIET, **program.environment, "TMPDIR": str(request.parent)},
    )
    _running.add(process)
    return process


QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
}


def _kill(process: subprocess.Popen[str], timed_out: threading.Event) -> None:
    timed_out.set()
    _kill_group(process)


def _kill_groups(processes: list[subprocess.Popen[str]]) -> None:
    for each in processes:
        _kill_group(each)


def _kill_group(process: subprocess.Popen[str]) -> None:
    """A worker that lives, with the processes that it has started: its session is its own."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _listen(process: subprocess.Popen[str], on_progress: ProgressListener | None) -> dict[str, Any]:
    last: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError):
            last = json.loads(line)
            if "progress" in last and on_progress is not None:
                on_progress(last["progress"])
    return last


def _end(process: subprocess.Popen[str]) -> None:
    _kill_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    _running.discard(process)


def _failure(
    name: str, last: Mapping[str, Any], code: int, timed_out: bool, log: Path
) -> TwinServeError:
    if "error" in last:
        error = last["error"]
        return error_named(error["name"])(error["message"], error["hint"])
    how = (
        f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    )
    if timed_out:
        how = "took too long and was killed"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    return WorkerError(f"{name} {how}.", tail)


# ---- the child -------------------------------------------------------------------------------------------------


def main() -> int:
    """Do one verb; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m models.worker", description=__doc__)
    parser.add_argument("framework", choices=("tensorflow", "pytorch"))
    parser.add_argument("verb")
    parser.add_argument("request", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    return answer(arguments.request, partial(_run, arguments.framework, arguments.verb))


def answer(request: Path, run: Callable[[dict[str, Any], ProgressListener], dict[str, Any]]) -> int:
    """Do what the request's file asks and say the result, or our error; the process's exit code."""
    _leave_in_order()
    out = _own_stdout()
    end_with_parent(lambda: shutil.rmtree(request.parent, ignore_errors=True))
    try:
        asked = json.loads(request.read_text())
        _say(out, {"result": run(asked, lambda progress: _say(out, {"progress": progress}))})
    except TwinServeError as error:
        _say(out, {"error": _facts(error)})
        return error.exit_code
    except OSError as error:
        if error.errno is None:
            raise
        message = f"{error.filename or 'A file'} cannot be used: {error.strerror}."
        _say(out, {"error": _facts(StorageError(message))})
        return StorageError.exit_code
    return 0


def _run(
    framework_name: str, verb: str, request: dict[str, Any], report: ProgressListener
) -> dict[str, Any]:
    # Imported here: parents import this module too, and want neither framework.
    from models.framework import load_framework
    from models.verbs import VERBS

    framework = load_framework(framework_name)
    framework.runtime.prepare(request["threads"], request.get("seed", 0))
    return VERBS[verb](framework, request, report)


def _leave_in_order() -> None:
    """Let SIGTERM end this process by an exception, so that ``finally`` removes what is half-written.

    More of them may follow at once, from the handler of Ctrl-C and from the flow that it ends: they must not
    interrupt the removing.
    """
    asked_at = -GRACE_SECONDS

    def leave(*_: object) -> None:
        nonlocal asked_at
        if time.monotonic() >= asked_at + GRACE_SECONDS:
            asked_at = time.monotonic()
            sys.exit(143)

    signal.signal(signal.SIGTERM, leave)


def _own_stdout() -> IO[str]:
    """Keep standard output for our protocol; whatever libraries print goes to standard error."""
    ours = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return ours


def _say(out: IO[str], message: Mapping[str, Any]) -> None:
    print(json.dumps(message), file=out, flush=True)


def _facts(error: TwinServeError) -> dict[str, str]:
    return {
        "name": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
    }


if __name__ == "__main__":
    sys.exit(main())
