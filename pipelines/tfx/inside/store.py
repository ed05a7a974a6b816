"""MLMD without TFX, whose import takes ten seconds: types, artifacts, executions and the events between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import filterfalse
from pathlib import Path
from typing import Any

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from models.errors import ArtifactMissing
from pipelines.tfx.inside.running import METADATA

Values = Mapping[str, str | int | float]
INPUTS = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)
IMPORTER = "Importer"
OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)


@dataclass(frozen=True)
class Store:
    """The store of one state folder."""

    mlmd: Any

    @classmethod
    def open(cls, state: Path) -> Store:
        """Open what TFX's pipelines have filled.

        Raises:
            ArtifactMissing: none of them has run.
        """
        file = state / METADATA
        if not file.exists():
            raise ArtifactMissing(
                f"There is no lineage: {file} is missing.", "Run a TFX stage first."
            )
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(file)
        return cls(metadata_store.MetadataStore(config))

    def artifact(self, type_name: str, uri: str, values: Values) -> int:
        """The id of the artifact of that type and those values at that place; it is registered where it is new.

        What was taken back is none; and where a file was replaced by another (its sha256 is among the values), the
        older artifact stays what it was.
        """
        for each in self.mlmd.get_artifacts_by_uri(uri):
            alike = each.type == type_name and values.items() <= values_of(each).items()
            if alike and not _is_taken_back(each):
                return int(each.id)
        type_id = self.mlmd.put_artifact_type(
            mlmd.ArtifactType(name=type_name), can_add_fields=True
        )
        artifact = mlmd.Artifact(type_id=type_id, uri=uri, state=mlmd.Artifact.LIVE)
        _set(artifact, values)
        return int(self.mlmd.put_artifacts([artifact])[0])

    def execution(
        self, type_name: str, inputs: Iterable[int], outputs: Iterable[int], values: Values
    ) -> int:
        """Register what made ``outputs`` of ``inputs``; all at once."""
        type_id = self.mlmd.put_execution_type(
            mlmd.ExecutionType(name=type_name), can_add_fields=True
        )
        execution = mlmd.Execution(type_id=type_id, last_known_state=mlmd.Execution.COMPLETE)
        _set(execution, values)
        pairs = [(each, mlmd.Event.INPUT) for each in inputs]
        pairs += [(each, mlmd.Event.OUTPUT) for each in outputs]
        known = {each.id: each for each in self.mlmd.get_artifacts_by_id([one for one, _ in pairs])}
        found, *_ = self.mlmd.put_execution(
            execution, [(known[each], mlmd.Event(type=kind)) for each, kind in pairs], []
        )
        return int(found)

    def add_inputs(self, execution: int, inputs: Iterable[int]) -> None:
        """Note more artifacts that an execution has read; those it has already stay."""
        known = {each.artifact_id for each in self.mlmd.get_events_by_execution_ids([execution])}
        events = [
            mlmd.Event(execution_id=execution, artifact_id=each, type=mlmd.Event.INPUT)
            for each in inputs
            if each not in known
        ]
        if events:
            self.mlmd.put_events(events)

    def of_type(self, type_name: str) -> list[Any]:
        """Artifacts of a type that were not taken back, the newest last; none where there is no such type."""
        try:
            found = self.mlmd.get_artifacts_by_type(type_name)
        except errors.NotFoundError:
            return []
        return sorted(filterfalse(_is_taken_back, found), key=lambda each: each.id)

    def take_back(self, artifact: int) -> None:
        """Mark an artifact as one that came to nothing; what it was made of stays on record."""
        found = self.one(artifact)
        found.state = mlmd.Artifact.ABANDONED
        self.mlmd.put_artifacts([found])

    def one(self, artifact: int) -> Any:
        """The artifact of that id.

        Raises:
            ArtifactMissing: there is none.
        """
        for each in self.mlmd.get_artifacts_by_id([artifact]):
            return each
        raise ArtifactMissing(f"The lineage has no artifact {artifact}.")

    def maker(self, artifact: int) -> Any | None:
        """The execution that put an artifact out; an importer only where there is no other."""
        events = self.mlmd.get_events_by_artifact_ids([artifact])
        ids = sorted({each.execution_id for each in events if each.type in OUTPUTS})
        found = sorted(
            self.mlmd.get_executions_by_id(ids), key=lambda each: (IMPORTER in each.type, each.id)
        )
        return found[0] if found else None

    def inputs(self, execution: int) -> list[Any]:
        """The artifacts that an execution has read."""
        events = self.mlmd.get_events_by_execution_ids([execution])
        ids = sorted({each.artifact_id for each in events if each.type in INPUTS})
        return sorted(self.mlmd.get_artifacts_by_id(ids), key=lambda each: each.id)

    def readers(self, artifact: int) -> list[Any]:
        """The executions that have read an artifact."""
        events = self.mlmd.get_events_by_artifact_ids([artifact])
        ids = sorted({each.execution_id for each in events if each.type in INPUTS})
        return list(self.mlmd.get_executions_by_id(ids))

    def made_by(self, execution: int) -> list[Any]:
        """The artifacts that an execution has put out."""
        events = self.mlmd.get_events_by_execution_ids([execution])
        ids = sorted({each.artifact_id for each in events if each.type in OUTPUTS})
        return list(self.mlmd.get_artifacts_by_id(ids))


def values_of(node: Any) -> dict[str, str | int | float]:
    """The custom properties of an artifact or execution."""
    return {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in sorted(node.custom_properties.items())
        if value.WhichOneof("value") in ("string_value", "int_value", "double_value")
    }


def _is_taken_back(artifact: Any) -> bool:
    return bool(artifact.state == mlmd.Artifact.ABANDONED)


def _set(node: Any, values: Values) -> None:
    for name, value in values.items():
        kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(node.custom_properties[name], kind, value)
