"""Ask the servers that run, and show the answers side by side."""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from models.contract import Contract, Tensors
from models.errors import ServerDied, SettingsError, TwinServeError
from pipelines.reference import test_split
from pipelines.serve import left_running
from pipelines.workspace import Workspace
from serving.endpoints import Endpoint, endpoints_of


def query_servers(space: Workspace, row: int, console: Console) -> None:
    """Send one row of the test split to every endpoint of the running servers.

    Raises:
        ServerDied: nothing of this case runs, or an endpoint does not answer.
        SettingsError: there is no such row.
    """
    servers = left_running(space)
    if not servers:
        raise ServerDied(f"No server of {space.case.name!r} is running.", "Run `make serve` first.")
    manifest = space.manifest(int(servers[0].tags["version"]))
    split = test_split(space, manifest)
    if row >= len(split):
        raise SettingsError(f"The test split has rows 0 to {len(split) - 1}, not {row}.")
    sample = split.rows(slice(row, row + 1))
    labels = space.case.contract.labels
    console.print(
        f"Row {row} of the test split; its label is [bold]{labels[int(sample.labels[0])]}[/].\n",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for column in ("endpoint", "answer", space.case.contract.scores, "time"):
        table.add_column(column, justify="left" if column in ("endpoint", "answer") else "right")
    for server in servers:
        for endpoint in endpoints_of(server):
            table.add_row(endpoint.title, *_ask(space, endpoint, sample.inputs))
    console.print(table)


def _ask(space: Workspace, endpoint: Endpoint, inputs: Tensors) -> tuple[str, str, str]:
    contract = space.case.contract
    try:
        with endpoint.connect(
            space.case.name, contract, space.settings.request_timeout_seconds
        ) as client:
            client.predict(inputs)  # the first request pays for the connection
            began = time.perf_counter()
            outputs = client.predict(inputs)
            milliseconds = (time.perf_counter() - began) * 1000
    except TwinServeError as error:
        raise ServerDied(f"{endpoint.title} does not answer: {error.message}") from error
    return (*_answer(contract, outputs), f"{milliseconds:.1f} ms")


def _answer(contract: Contract, outputs: Tensors) -> tuple[str, str]:
    label = int(contract.predicted_labels(outputs)[0])
    return contract.labels[label], f"{float(np.max(outputs[contract.scores][0])):.6f}"
