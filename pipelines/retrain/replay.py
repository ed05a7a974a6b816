"""All spans that have arrived, one after the other; a span whose facts are complete is not done again.

::

    artifacts/<case>/retrain/
      index.html, timeline.json     the timeline
      <case>/                       a home of its own: versions, what is in service, the lineage
        spans/<span>.json           what one span has shown, and what was done

The digest in a span's facts covers what it was made from and the span before, so a changed threshold makes anew
what comes after. What is in service follows: a span begins with what was in service at the end of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from models.artifact import digest_of_files, digest_of_parts, write_text
from models.dataset import StoredDataset
from models.errors import ArtifactCorrupt, SpanError
from models.spans import Spans, spans_in
from pipelines.data import prepare_data
from pipelines.in_service import model_in_service, pushed_model
from pipelines.retrain.facts import SpanFacts, Timeline
from pipelines.retrain.month import Before, work_on
from pipelines.retrain.policy import Policy
from pipelines.settings import PROJECT
from pipelines.workspace import TFX_SOURCES, Workspace, log
from serving.pushed import find_push, in_service, put_in_service, put_out_of_service

FIRST_SPANS = 3
SOURCES = tuple(sorted((PROJECT / "pipelines/retrain").glob("*.py")))


def replay(
    space: Workspace, policy: Policy, first: int = FIRST_SPANS, at_most: int = 0
) -> Iterator[Timeline]:
    """Go on from what is complete.

    Args:
        space: from ``place.open_space``.
        policy: when to retrain.
        first: so many spans are there from the beginning; the first model is trained on them.
        at_most: so many new spans; 0 for all. Where only new ones are asked for, as on the schedule, what was done
            stays done, also by other thresholds, programs or versions: what is in service never goes back.

    Yields:
        the timeline so far, after every span, and once where no span is new.

    Raises:
        SpanError: there are too few spans.
        TwinServeError: whatever ends the work on a span; what is in service still is.
    """
    whole = prepare_data(space)
    numbers = spans_in(StoredDataset.open(Path(whole.path)), space.case.span)
    if len(numbers) <= first:
        raise SpanError(
            f"There are {len(numbers)} spans, and the first {first} are only learned from.",
            "Wait for more, or begin with fewer.",
        )
    history: list[SpanFacts] = []
    worked = 0
    for place, number in enumerate(numbers[first:], first):
        spans = Spans(tuple(numbers[:place]), (number,))
        digest = _digest(space.of_spans(spans), policy, history)
        facts = _known(space, number, None if at_most else digest)
        if facts is None:
            if at_most and worked == at_most:
                break
            with _something_in_service(space):
                restore_service(space, history)
                facts = work_on(space, spans, policy, _before(space, history), digest)
            for later in numbers[place + 1 :]:  # they began with what was in service then
                _path(space, later).unlink(missing_ok=True)
            write_text(_path(space, number), facts.model_dump_json(indent=2) + "\n")
            worked += 1
        else:
            same = " and unchanged" if facts.digest == digest else ""
            log.info(f"{space.case.span.capitalize()} {number}: complete{same}")
        history.append(facts)
        yield _timeline(space, policy, numbers[:first], history)
    restore_service(space, history)


@contextmanager
def _something_in_service(space: Workspace) -> Iterator[None]:
    """A replay that begins anew and fails before its first push leaves in service what was so before."""
    pushed = space.pushed_folder()
    try:
        before = in_service(pushed)
    except ArtifactCorrupt:
        before = None
    try:
        yield
    except BaseException:
        if before is not None and in_service(pushed) is None:
            put_in_service(pushed, before.version)
        raise


def restore_service(space: Workspace, history: Sequence[SpanFacts]) -> None:
    """Have in service what was so after the last complete span: a killed run may have got further.

    Raises:
        StorageError: the pointer cannot be written.
    """
    wanted = history[-1].in_service if history else None
    try:
        found = model_in_service(space)
    except ArtifactCorrupt:
        found = None
    if wanted is None:
        put_out_of_service(space.pushed_folder())
    elif found is None or found.version != wanted:
        put_in_service(space.pushed_folder(), wanted)


def _before(space: Workspace, history: Sequence[SpanFacts]) -> Before:
    if not history or history[-1].in_service is None:
        return Before()
    last = history[-1]
    born = next(
        (each for each in history if each.pushed and each.candidate == last.in_service), None
    )
    return Before(
        frozen=pushed_model(space, last.frozen),
        service=pushed_model(space, last.in_service),
        blessed=[each for each in born.performance if each.line == "candidate"] if born else [],
    )


def _digest(space: Workspace, policy: Policy, history: Sequence[SpanFacts]) -> str:
    return digest_of_parts(
        *([history[-1].digest, history[-1].in_service, history[-1].frozen] if history else [""]),
        space.version_digest(space.data_key()),
        policy.model_dump_json(),
        space.validation_digest(""),
        digest_of_files([*SOURCES, *TFX_SOURCES]),
    )


def _known(space: Workspace, number: int, digest: str | None) -> SpanFacts | None:
    """The facts of a complete span, of these inputs (of any for None), whose version is still there."""
    try:
        facts = SpanFacts.model_validate_json(_path(space, number).read_text())
    except (OSError, ValidationError):
        return None
    if space.fresh or facts.digest != (digest or facts.digest):
        return None
    if facts.pushed and facts.candidate is not None:
        there = facts.candidate in space.versions()
        return facts if there and find_push(space.pushed_folder(), facts.candidate) else None
    return facts


def _timeline(
    space: Workspace, policy: Policy, first: Sequence[int], history: Sequence[SpanFacts]
) -> Timeline:
    return Timeline(
        case=space.case.name,
        title=space.case.title,
        span=space.case.span,
        created=datetime.now(UTC),
        share=space.case.share_called,
        sample=space.settings.sample,
        first=list(first),
        policy=policy,
        spans=list(history),
    )


def _path(space: Workspace, number: int) -> Path:
    return space.home / "spans" / f"{number:02}.json"
