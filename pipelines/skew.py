"""Whether the programs inside a server fit the files that it is given, asked before any traffic."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as installed

from models.artifact import Manifest
from models.errors import VersionSkew
from pipelines.facts import Check, Outcome
from pipelines.workspace import log
from serving.server import Server

Release = tuple[int, ...]
Expected = list[tuple[str, str, Callable[["tuple[int, ...]", "tuple[int, ...]"], "Fit"]]]
STAGE = "versions"


@dataclass(frozen=True)
class Fit:
    """What a pair of versions means.

    Attributes:
        outcome: PASS, WARNING, or FAIL for a pair that is known to break.
        why: in one clause; empty for PASS.
    """

    outcome: Outcome
    why: str = ""


FITS = Fit(Outcome.PASS)


def judge_versions(manifest: Manifest, server: Server) -> list[Check]:
    """The versions inside a started server, held against those that made the files.

    Raises:
        VersionSkew: a pair is known to break; the message names both.
        ServerDied: the server does not say its versions.
    """
    inside = server.versions()
    checks = [
        _check(server.spec.label, program, inside.get(program, ""), made_with, judge)
        for program, made_with, judge in _expected(manifest, server.spec.name, inside)
    ]
    for check in checks:
        if check.outcome is Outcome.FAIL:
            raise VersionSkew(
                f"{check.subject} runs {check.figure}; the files were made with {check.limit}: "
                f"{check.detail}.",
                "Run `make images` for an image of the right version, or export again.",
            )
        if check.outcome is Outcome.WARNING:
            log.warning(f"{check.subject} runs {check.figure}, not {check.limit}: {check.detail}")
    return checks


def judge_tensorflow(inside: Release, made_with: Release) -> Fit:
    """TensorFlow loads SavedModels of every earlier release with the same major number.

    Of a later one they often load too (2.21's in 2.16, tried), but nobody promises it.
    Source: tensorflow.org/guide/versions, "Compatibility of SavedModels, graphs and checkpoints".
    """
    if inside[0] != made_with[0]:
        return Fit(Outcome.FAIL, "no SavedModel is promised to work across major versions")
    if inside[:2] < made_with[:2]:
        return Fit(Outcome.WARNING, "TensorFlow promises to load older SavedModels, not newer ones")
    return FITS


def judge_torch(inside: Release, made_with: Release) -> Fit:
    """An archive of a newer torch may use operators that an older one has not; the other way it warns."""
    if inside[:2] < made_with[:2]:
        return Fit(Outcome.FAIL, "an older torch does not read the archives of a newer one")
    if inside[:2] > made_with[:2]:
        return Fit(Outcome.WARNING, "torch promises no stable results between its versions")
    return FITS


def judge_same(inside: Release, made_with: Release) -> Fit:
    """For a server's own release: one that nobody here has tried."""
    if inside[:2] == made_with[:2]:
        return FITS
    return Fit(Outcome.WARNING, "these two were not tried together")


def release_of(said: str) -> Release:
    """``2.21.0-rc1+cpu`` -> (2, 21, 0); empty where there is no number."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _expected(manifest: Manifest, server: str, inside: dict[str, str]) -> Expected:
    made = manifest.framework_versions
    if server == "torchserve":
        return [
            ("torch", _named(made["pytorch"], "PyTorch"), judge_torch),
            ("TorchServe", installed("torchserve"), judge_same),
        ]
    expected: Expected = [
        ("TensorFlow Library", _named(made["tensorflow"], "TensorFlow"), judge_tensorflow)
    ]
    if "TensorFlow ModelServer" in inside:  # the embedded server has no release of its own
        expected.append(("TensorFlow ModelServer", installed("tensorflow-serving-api"), judge_same))
    return expected


def _named(label: str, program: str) -> str:
    """``Keras 3.15.1 on TensorFlow 2.21.0``, "TensorFlow" -> ``2.21.0``"""
    return label.partition(f"{program} ")[2].partition(" ")[0]


def _check(
    label: str,
    program: str,
    inside: str,
    made_with: str,
    judge: Callable[[Release, Release], Fit],
) -> Check:
    here, there = release_of(inside), release_of(made_with)
    fit = judge(here, there) if here and there else Fit(Outcome.WARNING, "a version is not known")
    return Check(
        stage=STAGE,
        subject=label,
        question=f"Its {program} is one that the files were made for",
        outcome=fit.outcome,
        figure=f"{program} {inside or 'unknown'}",
        limit=f"{program} {made_with or 'unknown'}",
        detail=fit.why,
    )
