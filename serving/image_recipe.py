"""What our two images are built from: a Dockerfile, sources, and the packages of the model's maker."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from models.artifact import digest_of, digest_of_parts
from models.errors import ServerMissing
from serving.tfserving.embedded import LABEL as EMBEDDED_LABEL
from serving.torchserve.launch import torchserve_label

PROJECT = Path(__file__).resolve().parents[1]
PYTHON = "3.11"
"""The version that the base image's Debian has."""
SAME_AS_HERE = ("torch", "torchserve", "tensorflow", "tensorflow-serving-api")
OFFICIAL = "tensorflow/serving"


@dataclass(frozen=True)
class Image:
    """One that is built here.

    Attributes:
        name: ``repository:tag``; the tag holds the versions that matter.
        label: what it is, for people: "TorchServe 0.12.0".
        dockerfile: below the project's root.
        packages: below the project's root: names of the Python packages inside.
        unused: files and folders of those packages that serving never needs, as patterns.
    """

    name: str
    label: str
    dockerfile: str
    packages: str
    unused: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where its packages are collected; ``Dockerfile`` copies ``site-packages`` from there."""
        return PROJECT / "build" / "images" / self.name.partition(":")[0].rpartition("/")[2]

    def pins(self) -> tuple[str, ...]:
        """``name==version`` of its packages.

        The frameworks and servers are those that are installed here, which trained and exported the
        model, without the local part: "2.13.0" whichever build of torch it is. The others are those
        of ``requirements/main.txt`` for the image's Python, which may not be the one here.

        Raises:
            ServerMissing: one is not installed, or not pinned.
        """
        lines = (PROJECT / self.packages).read_text().splitlines()
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        pinned = _pinned()
        versions = {
            name: _installed(name) if name in SAME_AS_HERE else pinned.get(name) for name in names
        }
        for name, found in versions.items():
            if found is None:
                raise ServerMissing(
                    f"{self.packages} names {name}, which requirements/main.txt does not pin.",
                    "Correct the name.",
                )
        return tuple(f"{name}=={found}" for name, found in versions.items())

    def copied(self) -> list[Path]:
        """The files of the project that its Dockerfile copies, the collected packages left out."""
        found: list[Path] = []
        for source in copy_sources((PROJECT / self.dockerfile).read_text()):
            if not source.startswith("build/"):
                found += PROJECT.glob(source)
        return sorted(found)

    def digest(self) -> str:
        """sha256 of everything that it is built from.

        Raises:
            ServerMissing: a package is not installed here.
        """
        files = [PROJECT / self.dockerfile, *self.copied()]
        contents = [(file.relative_to(PROJECT).as_posix(), digest_of(file)) for file in files]
        return digest_of_parts(*contents, self.pins(), self.unused)


def torchserve_recipe() -> Image:
    """TorchServe with the torch that is installed here.

    Raises:
        ServerMissing: one of them is not installed.
    """
    return Image(
        name=f"twinserve/torchserve:{_installed('torchserve')}-torch{_installed('torch')}",
        label=torchserve_label(),
        dockerfile="serving/torchserve/Dockerfile",
        packages="requirements/torchserve-image.in",
        unused=(
            "torch/bin/[!t]*",  # it looks for its torch_shm_manager when it is imported
            "torch/bin/test_*",
            "torch/include",
            "torch/share",
            "torch/test",
            "torch/lib/*_test.so",
            "torch/lib/libaoti_custom_ops.so",
            "torch/lib/libbackend_with_compiler.so",
            "torch/**/*.a",
            "torch/testing/_internal/py312_intrinsics.py",  # no Python 3.11
            *_UNUSED,
        ),
    )


def embedded_recipe() -> Image:
    """The embedded server on the TensorFlow that is installed here.

    Raises:
        ServerMissing: it is not installed.
    """
    return Image(
        name=f"twinserve/tfserving-embedded:{_installed('tensorflow')}",
        label=EMBEDDED_LABEL,
        dockerfile="serving/tfserving/embedded/Dockerfile",
        packages="requirements/tfserving-embedded-image.in",
        unused=(
            "tensorflow/include",
            "tensorflow/lite",
            "tensorflow/_api",
            "tensorflow/compiler/mlir/stablehlo",
            "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so",
            *_UNUSED,
        ),
    )


_UNUSED = ("bin", "**/tests", "**/*.pyi", "**/__pycache__")


def official_name() -> str:
    """TF Serving's own image of the release whose API is installed here.

    Raises:
        ServerMissing: ``tensorflow-serving-api`` is not installed.
    """
    return f"{OFFICIAL}:{_installed('tensorflow-serving-api')}"


def copy_sources(dockerfile: str) -> list[str]:
    """What a Dockerfile copies from the build context: paths and patterns, as they stand there."""
    lines = dockerfile.replace("\\\n", " ").splitlines()
    words = [line.split() for line in lines if line.startswith("COPY ")]
    return [source for line in words if not line[1].startswith("--from=") for source in line[1:-1]]


def _pinned() -> dict[str, str]:
    """Version by name, of what ``requirements/main.txt`` pins for the image's Python on Linux."""
    place = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    place |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    lines = (PROJECT / "requirements" / "main.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line[:1].isalnum()]
    return {
        each.name: next(iter(each.specifier)).version
        for each in found
        if each.marker is None or each.marker.evaluate(place)
    }


def _installed(distribution: str) -> str:
    try:
        return version(distribution).partition("+")[0]
    except PackageNotFoundError as error:
        raise ServerMissing(f"{distribution} is not installed.", "Run `make setup`.") from error
