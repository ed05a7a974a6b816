"""Building our images: packages collected on this machine, the rest by the engine.

The packages are collected here because here the user's own pip and uv settings apply, which decide
where torch comes from; the engine only copies them.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tarfile
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from models.artifact import storage_errors, whole_folder, write_text
from models.errors import ImageMissing, ServerMissing, SettingsError
from serving.engine import engine_errors
from serving.image_recipe import PROJECT, PYTHON, Image
from serving.images import LABEL, SOURCES, PresentImage, Say, find_image

if TYPE_CHECKING:
    from docker import DockerClient

SITE_PACKAGES = "site-packages"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The engine's names of processors -> those in the names of wheels."""
COLLECT_SECONDS = 1800.0
LINES_OF_A_FAILURE, LONGEST_STEP = 12, 110
WITHOUT_NETWORK = "If packages could not be downloaded in it: `make images NETWORK=host`."
LARGEST_CERTIFICATES_BYTES = 90_000
"""Linux takes 128 KiB for one variable, and base64 adds a third."""


@dataclass(frozen=True)
class BuildOptions:
    """What a build needs on machines where the usual does not do.

    Attributes:
        network: the engine's name of the network that packages are installed over; empty for its
            default, ``host`` where containers have no way out.
        certificates: PEM file, or a folder of them, of the authority that vouches for an https
            mirror of Debian's packages; None for none. Not in the image afterwards.
    """

    network: str = ""
    certificates: Path | None = None

    def arguments(self) -> dict[str, str]:
        """The Dockerfiles' arguments.

        Raises:
            SettingsError: the certificates cannot be read, or are too many.
        """
        if self.certificates is None:
            return {}
        pem = _read_certificates(self.certificates)
        if b"BEGIN CERTIFICATE" not in pem or len(pem) > LARGEST_CERTIFICATES_BYTES:
            raise SettingsError(
                f"{self.certificates} holds {len(pem)} bytes of certificates; between 1 and "
                f"{LARGEST_CERTIFICATES_BYTES} can be handed to a build.",
                "Name a PEM file that holds only your own authority.",
            )
        return {"CA_CERTIFICATES": base64.b64encode(pem).decode()}


def build_image(
    client: DockerClient, image: Image, options: BuildOptions, say: Say
) -> PresentImage:
    """Collect an image's packages and build it.

    Args:
        client: the engine's; each of its answers may take as long as the longest step, about a
            minute on two cores.
        image: what to build.
        options: for machines where the usual does not do.
        say: told of each step.

    Raises:
        ImageMissing: it could not be built; the message says why.
        ServerMissing: a package that belongs into it is not installed here.
        SettingsError: the options cannot be used.
        StorageError: there is no room for it.
        EngineUnavailable: the engine has gone away.
    """
    arguments, digest = options.arguments(), image.digest()
    with engine_errors(f"{image.name} cannot be built"):
        machine = str(client.version()["Arch"])
    collect_packages(image, MACHINES.get(machine, machine), say)
    say(f"sending the sources of {image.name} to the engine")
    with storage_errors(image.folder), tempfile.TemporaryFile(dir=image.folder) as context:
        _pack_context(image, context)
        context.seek(0)
        with engine_errors(f"{image.name} cannot be built"):
            answers = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=image.dockerfile,
                tag=image.name,
                buildargs=arguments,
                labels={LABEL: image.label, SOURCES: digest},
                network_mode=options.network or None,
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(answers, image, say)
    built = find_image(client, image.name, image)
    if built is None:
        raise ImageMissing(f"{image.name} is not there after its build.")
    return built


def collect_packages(image: Image, machine: str, say: Say) -> Path:
    """The image's Python packages in its folder; left alone where they are those already.

    Args:
        image: whose packages.
        machine: ``x86_64`` or ``aarch64``.
        say: told of the collecting.

    Returns:
        the folder ``site-packages``.

    Raises:
        ServerMissing: one is not installed here, or cannot be had for that machine.
        StorageError: the folder cannot be written.
    """
    pins = image.pins()
    contents = "\n".join([f"# Python {PYTHON}, {machine}", *pins, *image.unused]) + "\n"
    stated = image.folder / "contents.txt"
    if not stated.is_file() or stated.read_text() != contents:
        say(f"collecting {len(pins)} Python packages for {image.name}")
        with whole_folder(image.folder) as folder:
            _install(pins, machine, folder / SITE_PACKAGES)
            for pattern in image.unused:
                for path in sorted((folder / SITE_PACKAGES).glob(pattern)):
                    _remove(path)
            write_text(folder / stated.name, contents)
    return image.folder / SITE_PACKAGES


def _install(pins: tuple[str, ...], machine: str, target: Path) -> None:
    """The CPU's build of torch, wherever the user's settings find one; else from PyTorch's index."""
    on_cpu = tuple(f"{pin}+cpu" if pin.startswith("torch==") else pin for pin in pins)
    said = _run_uv(on_cpu, machine, target)
    if said and on_cpu != pins:
        said = _run_uv(pins, machine, target, "--torch-backend", "cpu")
    if said:
        raise ServerMissing(
            f"The packages for {target.parent.name} cannot be collected: {said}",
            "Check the package index that uv uses (UV_INDEX_URL, UV_FIND_LINKS), then `make images`.",
        )


def _run_uv(pins: tuple[str, ...], machine: str, target: Path, *more: str) -> str:
    """Empty, or what uv complained of."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    command += ["--target", str(target), "--python", sys.executable, "--no-deps"]
    command += ["--python-version", PYTHON, "--python-platform", f"{machine}-manylinux_2_28"]
    command += ["--only-binary", ":all:", *more, *pins]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COLLECT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"uv did not end within {COLLECT_SECONDS:.0f} s"
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    return done.stderr.strip() if done.returncode else ""


def _pack_context(image: Image, context: BinaryIO) -> None:
    """What the Dockerfile copies, and itself; whose files they are here is nobody's business."""
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path in (PROJECT / image.dockerfile, *image.copied(), image.folder / SITE_PACKAGES):
            archive.add(path, path.relative_to(PROJECT).as_posix(), filter=_without_owner)


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def _follow(answers: Any, image: Image, say: Say) -> None:
    said: deque[str] = deque(maxlen=LINES_OF_A_FAILURE)
    failure = ""
    for event in answers:  # to its end in any case, which closes the connection
        failure = failure or str(event.get("error", "")).strip()
        lines = str(event.get("stream", "")).strip().splitlines()
        said.extend(lines)
        if lines and lines[0].startswith("Step "):
            say(lines[0][:LONGEST_STEP])
    if failure:
        raise ImageMissing(
            f"{image.name} could not be built: {failure}",
            "\n".join(["The last lines of the build:", *said, WITHOUT_NETWORK]),
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _read_certificates(place: Path) -> bytes:
    try:
        files = sorted(place.glob("*.crt")) if place.is_dir() else [place]
        return b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise SettingsError(f"{place} cannot be read: {error.strerror}.") from error
