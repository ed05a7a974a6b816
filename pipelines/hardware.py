"""The machine and the versions that a run's figures belong to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "tensorflow",
    "keras",
    "torch",
    "tensorflow-serving-api",
    "torchserve",
    "ai-edge-litert",
    "onnxruntime",
    "prefect",
    "numpy",
    "grpcio",
    "protobuf",
    "safetensors",
    "scikit-learn",
)


def hardware() -> dict[str, str]:
    """What the figures depend on; nothing that names the machine or its user."""
    return {
        "processor": _processor(),
        "cores": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Python's and every package's that has a part in the figures."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
