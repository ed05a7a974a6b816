"""``python -m benchmarks.loadgen`` (``make bench-loadgen``): is the load generator the bottleneck?

The same endpoint, the same requests, the same number of connections: ``wrk``, which is written in C and reads no
answer, and our own generator under LoadGen's Offline scenario, which holds every answer against the expected one.
They take turns, and the median of the ratios of neighbours counts, so that what disturbs the machine disturbs
both. Where ``wrk`` reaches more than 1.1 times as much, figures of throughput would be the client's.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifact import Manifest
from models.errors import ProgramMissing, TwinServeError
from pipelines.alone import servers_for
from pipelines.measure import write_rows
from pipelines.settings import read_settings
from pipelines.workspace import Workspace
from serving.endpoints import Endpoint, endpoints_of
from serving.load.job import LoadTarget
from serving.load.loaded import LoadedEndpoint
from serving.load.window import WindowPlan
from serving.wire.call import WireCall

MOST = 1.1
CLIENTS = 16
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")

SCRIPT = """\
local bodies = {%s}
local next = 0
wrk.method = "POST"
%s
function request()
  next = next %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next])
end
"""


@dataclass(frozen=True)
class Pair:
    """Both at one endpoint, one after the other; requests a second."""

    wrk: float
    ours: float

    @property
    def ratio(self) -> float:
        return self.wrk / self.ours


def run_wrk(program: str, calls: Sequence[WireCall], seconds: float, scratch: Path) -> float:
    """Requests a second that ``wrk`` reaches.

    Raises:
        TwinServeError: it failed, or was answered with errors.
    """
    script = scratch / "requests.lua"
    script.write_text(lua_script(calls))
    command = [program, "-t1", f"-c{CLIENTS}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    done = subprocess.run(
        [*command, calls[0].target],
        capture_output=True,
        text=True,
        timeout=60 + 2 * seconds,
        check=False,
    )
    found, bad = _RATE.search(done.stdout), _BAD.search(done.stdout)
    if done.returncode or not found or bad:
        raise TwinServeError(f"wrk failed: {(bad or [done.stderr or done.stdout])[0]}")
    return float(found[1])


def lua_script(calls: Sequence[WireCall]) -> str:
    """The requests, in turn, as ``wrk`` wants them."""
    bodies = ", ".join(_lua_text(call.body.decode()) for call in calls)
    headers = "\n".join(
        f"wrk.headers[{_lua_text(name)}] = {_lua_text(value)}" for name, value in calls[0].headers
    )
    return SCRIPT % (bodies, headers)


def _lua_text(text: str) -> str:
    # JSON's escapes of quotes, backslashes and line ends are Lua's too; \u is not, and is not needed.
    return json.dumps(text, ensure_ascii=False)


def compare(
    loaded: LoadedEndpoint, program: str, rounds: int, seconds: float, scratch: Path
) -> list[Pair]:
    """Both in turn, after one turn that does not count."""
    rate = max(loaded.closed_loop(CLIENTS, 1.0).rate, 1.0)
    pairs = []
    for number in range(rounds):
        wrk = run_wrk(program, loaded.calls(), seconds, scratch)
        window = loaded.window(WindowPlan("Offline", seconds, rate, seed=number), CLIENTS)
        if window.wrong:
            raise TwinServeError(f"{window.wrong} wrong answers: {window.problem}")
        rate = window.rate
        pairs.append(Pair(wrk, window.rate))
        print(
            f"  {number + 1}: wrk {wrk:8,.0f}   ours {window.rate:8,.0f} requests/s   "
            f"{pairs[-1].ratio:.2f}   our client used {window.cores:.2f} cores",
            flush=True,
        )
    return pairs


def _bench(
    space: Workspace, manifest: Manifest, endpoint: Endpoint, arguments: argparse.Namespace
) -> bool:
    case = space.case
    with tempfile.TemporaryDirectory(prefix="twinserve-bench-") as folder:
        rows = write_rows(space, manifest, endpoint.server, Path(folder))
        target = LoadTarget(endpoint, rows)
        loaded = LoadedEndpoint(target, case.name, case.contract, case.tolerances.float32)
        print(f"{endpoint.title}, {CLIENTS} connections, {arguments.seconds:g} s each in turn")
        pairs = compare(loaded, arguments.wrk, arguments.rounds, arguments.seconds, Path(folder))
    ratio = statistics.median(pair.ratio for pair in pairs)
    wrk, ours = (statistics.median(getattr(p, name) for p in pairs) for name in ("wrk", "ours"))
    low, high = np.percentile([pair.ratio for pair in pairs], (25, 75))
    word = "not the bottleneck" if ratio <= MOST else "THE BOTTLENECK"
    print(
        f"  medians: wrk {wrk:,.0f}, ours {ours:,.0f} requests/s; wrk / ours {ratio:.2f} "
        f"(half of the pairs {low:.2f} to {high:.2f}), at most {MOST}: {word}\n"
    )
    return ratio <= MOST


def main() -> int:
    """Run it; 1 where the generator is the bottleneck."""
    parser = argparse.ArgumentParser(prog="make bench-loadgen", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="pairs of runs (default 9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run (default 2)")
    arguments = parser.parse_args()
    np.seterr(all="ignore")
    try:
        arguments.wrk = find_wrk()
        space = Workspace.open("digits", read_settings())
        manifest = space.manifest()
        with servers_for(space, manifest) as started:
            endpoints = [
                endpoint
                for server in started.servers
                for endpoint in endpoints_of(server.spec)
                if endpoint.protocol == "REST"
            ]
            fast = [_bench(space, manifest, endpoint, arguments) for endpoint in endpoints]
    except TwinServeError as error:
        print(f"{error}\n{error.hint}".strip(), file=sys.stderr)
        return error.exit_code
    return 0 if all(fast) else 1


def find_wrk() -> str:
    """
    Raises:
        ProgramMissing: it is not installed.
    """
    program = shutil.which("wrk")
    if not program:
        raise ProgramMissing(
            "The program wrk is not installed.", "On Debian and Ubuntu: apt-get install wrk"
        )
    return program


if __name__ == "__main__":
    sys.exit(main())
