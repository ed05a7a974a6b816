"""A server as a container: what it may do, how it ends, and that nothing of it is left."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.drills.relay import Relay
from models.errors import (
    EngineUnavailable,
    ImageMissing,
    PortInUse,
    ServerDied,
    ServerNotReady,
)
from serving.container import ContainerServer, remove_labelled
from serving.engine import connect, read_file
from serving.process import free_ports
from serving.records import RunningServer
from serving.server import ContainerSpec, Probe, Readiness, ServerSpec

pytestmark = pytest.mark.docker

IMAGE = "debian:bookworm-slim"
SERVE = (
    "use IO::Socket::INET; $| = 1; $SIG{TERM} = sub { print qq(bye\n); exit 0 }; print qq(up\n);"
    "my $s = IO::Socket::INET->new(LocalPort => 9000, Listen => 5) or die;"
    "while (1) { my $c = $s->accept or next; print $c qq(HTTP/1.0 200 OK\r\n\r\nhello); close $c }"
)
SLEEP = "$SIG{TERM} = sub { exit 0 }; sleep 600"

Make = Callable[..., ContainerServer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """``make(perl)``: a container that runs a Perl script; the slim image has Perl and no Python."""
    made: list[ContainerServer] = []

    def server(script: str, records: Path | None = None, **changes: object) -> ContainerServer:
        fields = {
            "image": IMAGE,
            "ports": {"rest": 9000},
            "version_command": ("perl", "-e", 'print "Perl: $^V\n"'),
            "health": ("true",),
            "arguments": ("perl", "-e", script),
        }
        outer = {name: changes.pop(name) for name in ("ports", "tags") if name in changes}
        port = free_ports(1)[0]
        spec = ServerSpec(
            name="sample",
            label="Sample",
            command=(),
            workdir=tmp_path / f"work{len(made)}",
            probe=lambda: answers(spec.ports["rest"]),
            startup_seconds=20,
            stop_seconds=5,
            contained=ContainerSpec(
                name=f"twinserve-test-{uuid.uuid4().hex[:8]}",
                **{**fields, **changes},  # type: ignore[arg-type]
            ),
            **{"ports": {"rest": port}, **outer},  # type: ignore[arg-type]
        )
        made.append(ContainerServer(spec, records))
        return made[-1]

    yield server
    for each in made:
        with suppress(EngineUnavailable):
            each.stop()
    with warnings.catch_warnings():
        # The SDK leaves a socket open where it finds nobody to connect to.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def answers(port: int) -> Probe:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2) as answer:
            return Probe(Readiness.READY, answer.read().decode())
    except OSError as error:
        return Probe(Readiness.NOT_YET, str(error))


def exists(server: ContainerServer) -> bool:
    client = connect()
    try:
        return bool(client.containers.list(all=True, filters={"name": server.spec.container}))
    finally:
        client.close()


# ---- what it may do ----


def test_it_is_locked_in(make: Make, tmp_path: Path):
    """Not root, nothing to write but its scratch, no capabilities, no way to new privileges."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "model").write_text("weights")
    script = r"""
        $| = 1; print "user $< group $(\n";
        for my $f ("/root-file", "/etc/x", "/given/x", "/scratch/x") {
            print "$f ", (open(my $h, ">", $f) ? "written" : "refused"), "\n";
        }
        open(my $h, "<", "/given/model"); print "model ", <$h>, "\n";
        open(my $s, "<", "/proc/self/status"); print grep { /^(CapEff|CapBnd|NoNewPrivs)/ } <$s>;
        sleep 600;
    """
    server = make(script, mounts={"/given": given}, scratch={"/scratch": "rw,size=1m,mode=1777"})
    server.start()
    said = wait_for_log(server, "NoNewPrivs")
    assert "user 1000 group 1000" in said
    assert [line for line in said.splitlines() if line.startswith("/")] == [
        "/root-file refused",
        "/etc/x refused",
        "/given/x refused",
        "/scratch/x written",
    ]
    assert "model weights" in said
    assert "CapEff:\t0000000000000000" in said
    assert "CapBnd:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said


def test_ports_are_published_on_loopback_only(make: Make):
    server = make(SERVE)
    server.start()
    server.wait_ready()
    client = connect()
    published = client.containers.get(server.id).attrs["NetworkSettings"]["Ports"]
    client.close()
    assert {each["HostIp"] for bound in published.values() for each in bound} == {"127.0.0.1"}
    assert answers(server.spec.ports["rest"]).seen == "hello"


def test_limits_are_the_containers(make: Make):
    server = make(SLEEP, memory_bytes=64 * 2**20, cpus=0.5)
    server.start()
    client = connect()
    limits = client.containers.get(server.id).attrs["HostConfig"]
    client.close()
    assert limits["Memory"] == limits["MemorySwap"] == 64 * 2**20
    assert limits["NanoCpus"] == 500_000_000


def test_memory_and_time_are_those_of_the_container(make: Make):
    server = make("my $x = 'x' x 50_000_000; for (1..3e7) { $_ * 2 } " + SERVE)
    server.start()
    server.wait_ready()
    assert 50_000_000 < server.resident_bytes() < 200_000_000
    assert server.cpu_seconds() > 0
    assert server.memory_kind == "cgroup"
    assert server.where == "container"


def test_versions_are_read_inside(make: Make):
    server = make(SLEEP)
    server.start()
    assert server.versions()["Perl"].startswith("v5.")


def test_a_file_inside_is_read_also_from_a_tmpfs(make: Make):
    script = 'open(my $h, ">", "/scratch/key"); print $h "secret"; close $h; $| = 1; print "up\n"; '
    server = make(script + SLEEP, scratch={"/scratch": "rw,mode=1777"})
    server.start()
    wait_for_log(server, "up")
    assert read_file(server.spec.container, "/scratch/key") == "secret"
    with pytest.raises(FileNotFoundError, match="/scratch/other"):
        read_file(server.spec.container, "/scratch/other")


# ---- start and end ----


def test_ready_stopped_in_order_and_gone(make: Make, tmp_path: Path):
    records = tmp_path / "records"
    server = make(SERVE, records, tags={"case": "digits"})
    server.start()
    assert server.wait_ready() > 0
    (record,) = RunningServer.read_all(records)
    assert record.container == server.spec.container
    assert record.container_id == server.id
    assert record.tags == {"case": "digits"}
    assert record.is_running()
    server.stop()
    server.stop()
    assert not exists(server)
    assert not record.is_running()
    assert RunningServer.read_all(records) == []


def test_one_that_dies_shows_its_exit_code_and_its_last_words(make: Make):
    server = make("print STDERR qq(no model here\n); exit 3")
    server.start()
    with pytest.raises(ServerDied, match="exit code 3") as caught:
        server.wait_ready()
    assert "no model here" in caught.value.hint


def test_too_little_memory_is_called_by_its_name(make: Make):
    server = make("my @x; push @x, 'x' x 10_000_000 while 1", memory_bytes=32 * 2**20)
    server.start()
    with pytest.raises(ServerDied, match="lack of memory: its limit is 32 MiB"):
        server.wait_ready()


def test_a_paused_one_meets_the_deadline_and_is_removed_all_the_same(make: Make):
    server = make(SERVE)
    server.start()
    client = connect()
    client.containers.get(server.id).pause()
    client.close()
    with pytest.raises(ServerNotReady, match="not ready after"):
        server.wait_ready(timeout_seconds=3)
    server.stop()
    assert not exists(server)


def test_one_that_ignores_the_signal_is_killed(make: Make):
    server = make("$SIG{TERM} = 'IGNORE'; " + SERVE.replace("$SIG{TERM} = sub", "my $unused = sub"))
    server.start()
    server.wait_ready()
    server.stop()
    assert not exists(server)


def test_a_taken_port_leaves_nothing(make: Make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make(SLEEP, ports={"rest": taken.getsockname()[1]})
        with pytest.raises(PortInUse, match=f"Port {server.spec.ports['rest']}"):
            server.start()
    assert not exists(server)


def test_a_port_taken_after_the_look_is_named_too(make: Make, monkeypatch: pytest.MonkeyPatch):
    """Between our look and the engine's, somebody else can take it."""
    monkeypatch.setattr("serving.container.check_ports_free", lambda _spec: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make(SLEEP, ports={"rest": taken.getsockname()[1]})
        with pytest.raises(PortInUse):
            server.start()
    assert not exists(server)


def test_a_missing_image_says_how_to_get_it(make: Make):
    server = make(SLEEP, image="twinserve/no-such-image:1")
    with pytest.raises(ImageMissing, match="no-such-image") as caught:
        server.start()
    assert "make images" in caught.value.hint


# ---- what a killed run left ----


def test_the_next_run_finds_it_by_its_label_and_leaves_others_alone(make: Make, tmp_path: Path):
    mine, kept, theirs = (
        make(SLEEP, tmp_path / "mine", tags={"owner": "dead"}),
        make(SLEEP, tmp_path / "mine", tags={"keep": "yes"}),
        make(SLEEP, tmp_path / "theirs", tags={"owner": "dead"}),
    )
    for server in (mine, kept, theirs):
        server.start()
    for path in (tmp_path / "mine").glob("*.json"):
        path.unlink()  # killed before it could write a record
    removed = remove_labelled(tmp_path / "mine", lambda tags: tags.get("owner") == "dead")
    assert removed == [f"Sample (container {mine.spec.container})"]
    assert [exists(server) for server in (mine, kept, theirs)] == [False, True, True]


def test_a_killed_owner_leaves_a_record_that_stops_it(make: Make, tmp_path: Path):
    server = make(SERVE, tmp_path / "records")
    server.start()
    server.wait_ready()
    (record,) = RunningServer.read_all(tmp_path / "records")
    assert record.stop(tmp_path / "records")
    assert not exists(server)
    assert RunningServer.read_all(tmp_path / "records") == []


def test_one_that_restarts_is_not_taken_for_ready(make: Make):
    server = make("exit 1", restarts=5)
    server.start()
    with pytest.raises(ServerDied, match="ended with exit code"):
        server.wait_ready()


# ---- the engine ----


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch, state: Path) -> Iterator[Relay]:
    with Relay(state / f"engine-{uuid.uuid4().hex[:6]}.sock") as found:
        monkeypatch.setenv("DOCKER_HOST", found.address)
        yield found


def test_an_engine_that_goes_away_is_named_and_the_record_stays(
    make: Make, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server = make(SERVE, tmp_path / "records")
    server.start()
    server.wait_ready()
    relay.go_away()
    assert not server.is_alive()
    with pytest.raises(EngineUnavailable):
        server.resident_bytes()
    with pytest.raises(EngineUnavailable):
        server.stop()
    (record,) = RunningServer.read_all(tmp_path / "records")
    monkeypatch.delenv("DOCKER_HOST")
    assert record.is_running()
    assert record.stop(tmp_path / "records")
    assert not exists(server)


def test_no_engine_is_one_clear_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(EngineUnavailable, match="No Docker engine answers at") as caught:
        connect()
    assert "nobody.sock" in caught.value.message
    assert "No such file or directory" in caught.value.message
    assert "LAUNCHER=process" in caught.value.hint


def test_a_malformed_address_is_one_clear_message(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp//nonsense")
    with pytest.raises(EngineUnavailable, match=r"DOCKER_HOST|nonsense"):
        connect()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_permission_on_the_socket_says_what_to_do(state: Path):
    closed = state / "closed.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(closed))
        closed.chmod(0o600)
        state.chmod(0o755)
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, docker; from serving.engine import connect; "
                "os.setgid(12345); os.setuid(12345); connect()",
            ],
            env={**os.environ, "DOCKER_HOST": f"unix://{closed}"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "EngineUnavailable" in done.stderr
    assert "permission denied" in done.stderr
    assert "usermod -aG docker" in done.stderr


def wait_for_log(server: ContainerServer, words: str) -> str:
    deadline = time.monotonic() + 20
    while words not in (said := server.log_tail()):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def test_the_probe_of_a_spec_is_asked_again_until_it_is_ready(make: Make):
    seen: list[float] = []

    def later() -> Probe:
        seen.append(time.monotonic())
        return Probe(Readiness.READY if len(seen) > 2 else Readiness.NOT_YET)

    server = make(SLEEP)
    server.spec = replace(server.spec, probe=later)
    server.start()
    server.wait_ready()
    assert len(seen) == 3
