"""What a person can paste to ask the servers that were left running."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from models.artifact import Manifest
from pipelines.reference import Reference
from pipelines.workspace import Workspace
from serving.endpoints import Reachable, endpoints_of


def print_invitation(
    space: Workspace,
    manifest: Manifest,
    servers: Sequence[Reachable],
    console: Console,
    closing: str = "Ask them with `make query`, stop them with `make stop`.",
) -> None:
    """URLs, and a ready ``curl`` or ``grpcurl`` line for each endpoint, with a real row of the test split.

    The row and TorchServe's token are named by their files, so that lines stay short and the token stands
    neither in the terminal nor in a shell's history.

    Raises:
        ArtifactMissing: the data set that the version came from is gone.
        RequestError, ServerNotReady: a server does not hand out what its line needs.
    """
    sample = Reference.of(space, "tensorflow", manifest).split.rows(slice(0, 1)).inputs
    console.print(f"\n[bold]{space.case.name}[/], version {manifest.version}\n", highlight=False)
    for server in servers:
        for endpoint in endpoints_of(server):
            port = endpoint.ports["rest" if endpoint.protocol == "REST" else "grpc"]
            console.print(f"[bold]{endpoint.title}[/]  {endpoint.host}:{port}", highlight=False)
            with endpoint.connect(space.case.name, space.case.contract) as client:
                line = client.paste_line(sample, endpoint.workdir / f"{endpoint.protocol}.json")
            console.print(line, markup=False, highlight=False, soft_wrap=True)
            console.print()
    console.print(closing, highlight=False)
