"""Where a case's files lie, and the digests that name them.

::

    artifacts/<case>/
      data/<digest>/dataset/              the splits in shards, and their index
      constants/<digest>/constants.json  constants of preprocessing, where the case needs them
      baseline/<digest>/scores.npz       the baseline's answers, where the case has one
      initial/<framework>-<digest>/      shared initial weights, answers before training
      training/<framework>-<digest>/     weights, history, the in-memory model's answers
      exports/<framework>-<digest>/      what one framework exported
      pushed/                            what is in service, for both servers; see serving/pushed.py
      <version>/                         manifest.json and every artifact, whole or not at all
        facts/<stage>.json               what the stages found
        report/index.html, report.json

A folder's digest covers everything it was made from: parameters, code, framework version, and the digests of what
came before. So a folder that exists is complete and current, and a change makes anew only what depends on it.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import models.batches
import models.constants
import models.shards
import models.split
import models.verbs
import models.weights
from models import worker
from models.artifact import MANIFEST, Manifest, digest_of_files, digest_of_parts
from models.case import BASELINE, FILES, SCHEMA, Case, case_folder, load_case
from models.errors import ArtifactCorrupt, ArtifactMissing, SettingsError
from models.framework import FRAMEWORKS
from models.shards import FORMAT
from models.spans import Spans
from models.verbs import RESULT
from pipelines.settings import PROJECT, Settings

log = logging.getLogger("twinserve")
"""One line of progress at a time, for people; the command line and Prefect's UI both show it."""

PACKAGES = {"tensorflow": ("tensorflow", "keras"), "pytorch": ("torch",)}
DIGEST_LENGTH = 12
TFX_SOURCES = (
    PROJECT / "requirements/tfx.txt",
    *sorted((PROJECT / "pipelines/tfx").rglob("*.py")),
)
SCORERS = ("models/quality.py", "pipelines/quality.py")
TRAINERS = (models.verbs, models.weights, models.batches, models.shards, models.split)
JUDGES = ("models/parity.py", "models/predictor.py", "pipelines/verify.py")


@dataclass(frozen=True)
class Workspace:
    """One case in one artifacts folder.

    Attributes:
        case: with its hyper-parameters.
        settings: where things go.
        fresh: make everything anew, also what is complete.
        spans: which spans of the rows to learn from and to test on; None as the case's ``data.py`` splits them.
    """

    case: Case
    settings: Settings
    fresh: bool = False
    spans: Spans | None = None

    @classmethod
    def open(
        cls,
        name: str,
        settings: Settings,
        training: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Workspace:
        """Find the case and apply changed hyper-parameters.

        Args:
            name: the case's.
            settings: where things go.
            training: changed fields of ``models.case.Training``.
            fresh: make everything anew, also what is complete.

        Raises:
            CaseError: there is no such case, or it cannot be used.
        """
        case = load_case(name, settings.case_folders)
        return cls(case.with_training(training or {}), settings, fresh)

    def of_spans(self, spans: Spans | None) -> Workspace:
        """The same workspace over other spans of the rows."""
        return replace(self, spans=spans)

    def with_training(self, changes: Mapping[str, Any]) -> Workspace:
        """The same workspace with other hyper-parameters."""
        return replace(self, case=self.case.with_training(changes))

    def reusing(self) -> Workspace:
        """The same workspace, taking what is complete."""
        return replace(self, fresh=False)

    @property
    def home(self) -> Path:
        return self.settings.artifacts / self.case.name

    # ---- framework processes ----

    def call(
        self,
        framework: str,
        verb: str,
        dataset: str,
        on_progress: worker.ProgressListener | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        """Have a framework's process do one verb of ``models.verbs``."""
        return worker.call(
            framework,
            verb,
            {
                "case": self.case.name,
                "cases_path": [str(folder) for folder in self.settings.case_folders],
                "training": asdict(self.case.training),
                "seed": self.case.training.seed,
                "dataset": dataset,
                **request,
            },
            threads=self.settings.threads,
            timeout_seconds=self.settings.worker_timeout_seconds,
            on_progress=on_progress,
        )

    def make(
        self,
        framework: str,
        verb: str,
        dataset: str,
        target: Path,
        on_progress: worker.ProgressListener | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        """The result of a verb that fills ``target``; a complete ``target`` is taken as it is."""
        if self.is_complete(target):
            result: dict[str, Any] = json.loads((target / RESULT).read_text())
            return result
        return self.call(framework, verb, dataset, on_progress, target=str(target), **request)

    def is_complete(self, folder: Path) -> bool:
        """Whether the folder was finished by an earlier run and may be used again."""
        return not self.fresh and folder.exists()

    # ---- digests ----

    def data_key(self) -> str:
        """Digest of what the data set is made from."""
        folder = case_folder(self.case.name)
        return digest_of_parts(
            self.case.name,
            digest_of_files([folder / "data.py", *self._more_sources()]),
            self.case.training.seed,
            asdict(self.case.contract),
            self.settings.sample,
            FORMAT,
            _versions("scikit-learn", "numpy", *self.case.packages),
            *([asdict(self.spans)] if self.spans else []),
        )

    def constants_digest(self, data_digest: str, computed: Path | None) -> str:
        """Digest of what the constants of preprocessing are made from.

        Args:
            data_digest: of the rows.
            computed: a file that somebody else has computed; None where numpy does.
        """
        source = _source(models.constants)
        return digest_of_parts(
            data_digest, asdict(self.case.contract), digest_of_files([computed or source])
        )

    def baseline_digest(self, data_digest: str) -> str:
        """Digest of what the baseline's answers are made from."""
        return digest_of_parts(
            data_digest,
            self.case.training.seed,
            digest_of_files([case_folder(self.case.name) / BASELINE, *self._more_sources()]),
            _versions("scikit-learn", "numpy"),
        )

    def validation_digest(self, data_digest: str) -> str:
        """Digest of what TFX is asked of the rows."""
        return digest_of_parts(
            data_digest,
            self.case.span,
            digest_of_files([case_folder(self.case.name) / SCHEMA, *TFX_SOURCES]),
        )

    def evaluation_digest(self, data_digest: str, basis: str, baseline: str = "") -> str:
        """Digest of the answers that TFMA judges, and of what it is asked.

        Args:
            data_digest: of the rows.
            basis: ``DataFacts.basis``.
            baseline: what tells the model in service apart that they are compared with; empty without one.
        """
        return digest_of_parts(
            *(self.training_digest(framework, basis) for framework in FRAMEWORKS),
            self.validation_digest(data_digest),
            baseline,
            digest_of_files([case_folder(self.case.name) / "data.py"]),
        )

    def quality_digest(self, data_digest: str, basis: str) -> str:
        """Digest of the answers that are scored, and of what scores them."""
        return digest_of_parts(
            *(self.training_digest(framework, basis) for framework in FRAMEWORKS),
            self.baseline_digest(data_digest),
            self.case.quality,
            digest_of_files([PROJECT / path for path in SCORERS]),
        )

    # In what follows ``data_digest`` is ``DataFacts.basis``: rows, and constants where the case needs them.

    def initial_digest(self, framework: str, data_digest: str) -> str:
        """Digest of a network, its initial weights and the rows it is asked about."""
        return digest_of_parts(
            framework,
            data_digest,
            self.case.training.seed,
            asdict(self.case.contract),
            self.case.compared_rows,
            digest_of_files(self._network_sources(framework)),
            digest_of_files(
                [
                    _framework_source(framework, "training"),
                    _framework_source(framework, "encoding"),
                    *map(_source, TRAINERS),
                ]
            ),
            _versions(*PACKAGES[framework]),
        )

    def training_digest(self, framework: str, data_digest: str) -> str:
        """Digest of a training."""
        return digest_of_parts(
            self.initial_digest(framework, data_digest),
            asdict(self.case.training),
            self.settings.threads,
        )

    def export_digest(self, framework: str, data_digest: str) -> str:
        """Digest of a framework's exports."""
        return digest_of_parts(
            self.training_digest(framework, data_digest),
            self.case.calibration_rows,
            sorted(self.case.absent),
            digest_of_files([_framework_source(framework, "export")]),
        )

    def version_digest(self, data_digest: str) -> str:
        """Digest of everything a version is made from."""
        return digest_of_parts(
            *(self.export_digest(framework, data_digest) for framework in FRAMEWORKS),
            digest_of_files([PROJECT / "serving/torchserve/handler.py"]),
            _versions("torch-model-archiver"),
        )

    def verification_digest(self, manifest: Manifest) -> str:
        """Digest of the files themselves and of what they are judged by."""
        judges = [PROJECT / path for path in JUDGES]
        judges += [_framework_source(framework, "runtime") for framework in FRAMEWORKS]
        return digest_of_parts(
            manifest.training,
            sorted(artifact.sha256 for artifact in manifest.artifacts),
            asdict(self.case.tolerances),
            digest_of_files(judges),
        )

    @property
    def uses_tfx(self) -> bool:
        """Whether TFX takes part: a case with spans, unless the settings say no or bring constants."""
        return bool(self.case.span and self.settings.tfx and not self.settings.constants)

    # ---- places ----

    def data_folder(self) -> Path:
        return self.home / "data" / self.data_key()[:DIGEST_LENGTH]

    def constants_folder(self, data_digest: str, computed: Path | None) -> Path:
        digest = self.constants_digest(data_digest, computed)
        return self.home / "constants" / digest[:DIGEST_LENGTH]

    def validation_folder(self, data_digest: str) -> Path:
        return self.home / "validation" / self.validation_digest(data_digest)[:DIGEST_LENGTH]

    def evaluation_folder(self, data_digest: str, basis: str, baseline: str = "") -> Path:
        digest = self.evaluation_digest(data_digest, basis, baseline)
        return self.home / "evaluation" / digest[:DIGEST_LENGTH]

    def baseline_folder(self, data_digest: str) -> Path:
        return self.home / "baseline" / self.baseline_digest(data_digest)[:DIGEST_LENGTH]

    def initial_folder(self, framework: str, data_digest: str) -> Path:
        return self._named("initial", framework, self.initial_digest(framework, data_digest))

    def training_folder(self, framework: str, data_digest: str) -> Path:
        return self._named("training", framework, self.training_digest(framework, data_digest))

    def export_folder(self, framework: str, data_digest: str) -> Path:
        return self._named("exports", framework, self.export_digest(framework, data_digest))

    def version_folder(self, number: int) -> Path:
        return self.home / str(number)

    def facts_path(self, number: int, stage: str) -> Path:
        return self.version_folder(number) / "facts" / f"{stage}.json"

    def pushed_folder(self) -> Path:
        """What was pushed, and the pointer to what is in service; see ``serving.pushed``."""
        return self.home / "pushed"

    def run_folder(self, server: str) -> Path:
        """A server's working folder: configuration, logs, temporary files."""
        return self.settings.state / "run" / f"{self.case.name}-{server}"

    # ---- versions ----

    def versions(self) -> list[int]:
        """Numbers of the complete versions, oldest first."""
        numbers = [int(path.name) for path in self.home.glob("*") if path.name.isdigit()]
        return sorted(n for n in numbers if (self.version_folder(n) / MANIFEST).exists())

    def next_version(self) -> int:
        """A number that no version has, nor one that was pushed and whose folder is gone."""
        pushed = [int(each.name) for each in self.pushed_folder().glob("*") if each.name.isdigit()]
        return max([*self.versions(), *pushed], default=0) + 1

    def manifest(self, number: int | None = None) -> Manifest:
        """A version's manifest; the latest one's for None.

        Raises:
            ArtifactMissing: there is no such version.
        """
        numbers = self.versions()
        if not numbers:
            raise ArtifactMissing(
                f"There is no exported version of {self.case.name!r} in {self.home}.",
                "Run `make export` (or `make demo`) first.",
            )
        if number is not None and number not in numbers:
            raise ArtifactMissing(
                f"There is no version {number} of {self.case.name!r}; there is "
                f"{', '.join(map(str, numbers))}."
            )
        return Manifest.read(self.version_folder(numbers[-1] if number is None else number))

    def version_of(self, input_digest: str) -> Manifest | None:
        """The version made from exactly these inputs, if there is one.

        Raises:
            ArtifactCorrupt: a manifest cannot be read; when everything is made anew, it is passed over.
        """
        for number in reversed(self.versions()):
            try:
                manifest = Manifest.read(self.version_folder(number))
            except ArtifactCorrupt:
                if self.fresh:
                    continue
                raise
            if manifest.input_digest == input_digest:
                return manifest
        return None

    def _named(self, kind: str, framework: str, digest: str) -> Path:
        return self.home / kind / f"{framework}-{digest[:DIGEST_LENGTH]}"

    def _network_sources(self, framework: str) -> list[Path]:
        return [case_folder(self.case.name) / f"{framework}.py", *self._more_sources()]

    def _more_sources(self) -> list[Path]:
        """Whatever further modules the case's folder holds: the four files may import them."""
        folder, known = case_folder(self.case.name), (*FILES, BASELINE, "__init__.py")
        return [path for path in folder.glob("*.py") if path.name not in known]


def _source(module: Any) -> Path:
    return Path(inspect.getfile(module))


def _framework_source(framework: str, module: str) -> Path:
    # By path: importing it would import the framework.
    return PROJECT / "models/frameworks" / framework / f"{module}.py"


def _versions(*packages: str) -> str:
    try:
        return ", ".join(f"{package} {version(package)}" for package in packages)
    except PackageNotFoundError as error:
        raise SettingsError(
            f"The package {error.name} is not installed.", "Run `make setup`."
        ) from error
