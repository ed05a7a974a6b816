"""What the page sends, held against the contract before anybody is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.contract import Contract, Tensors, TensorSpec
from models.errors import BadRequest
from pipelines.playground.scan import Adjustment, Frame

LARGEST_BODY = 256 * 1024
LONGEST_TEXT = 200
MOST_POINTS = 5000

Coordinate = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
Kind = Literal["any", "frameworks", "int8"]


class Sliders(BaseModel):
    """Fields of ``Adjustment``, within what the sliders reach."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    right: float = Field(0, ge=-4, le=4)
    down: float = Field(0, ge=-4, le=4)
    rotate: float = Field(0, ge=-180, le=180)
    blur: float = Field(0, ge=0, le=3)
    noise: float = Field(0, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=2**32)

    def adjustment(self) -> Adjustment:
        return Adjustment(**self.model_dump())


class Question(BaseModel):
    """A drawing, or inputs by contract name; and the sliders."""

    model_config = ConfigDict(extra="forbid")

    strokes: list[list[tuple[Coordinate, Coordinate]]] | None = None
    inputs: dict[str, Any] | None = None
    sliders: Sliders = Sliders()


class Hunt(Question):
    """A search for inputs that the engines answer differently.

    Without a drawing or inputs it starts from rows of the test split.
    """

    kind: Kind = "any"
    seed: int = Field(7, ge=0, lt=2**32)


Q = TypeVar("Q", bound=Question)


def parse_question(form: type[Q], body: bytes) -> Q:
    """A request's body.

    Raises:
        BadRequest: it is not such JSON; the message names the first field that is wrong.
    """
    try:
        question = form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise BadRequest(f"{where}: {first['msg']}", "422") from error
    if question.strokes is not None and question.inputs is not None:
        raise BadRequest("Send strokes or inputs, not both.", "422")
    if sum(map(len, question.strokes or [])) > MOST_POINTS:
        raise BadRequest(f"A drawing has at most {MOST_POINTS} points.", "422")
    return question


def read_question(question: Question, contract: Contract, frame: Frame | None) -> Tensors | None:
    """The one row that is asked about, sliders applied; None where the page sent none.

    Raises:
        BadRequest: a value is not what the contract says.
    """
    inputs = _read(question, contract, frame)
    if inputs is None or frame is None:
        return inputs
    name, change = frame.spec.name, question.sliders.adjustment()
    return {name: change.apply(inputs[name][0], frame.spec)[None]}


def _read(question: Question, contract: Contract, frame: Frame | None) -> Tensors | None:
    if question.inputs is not None:
        return read_row(question.inputs, contract)
    if not any(question.strokes or []):
        return None
    if frame is None:
        raise BadRequest("This case has no image to draw.", "422")
    return {frame.spec.name: frame.scan(question.strokes or [])}


def read_row(stated: Mapping[str, Any], contract: Contract) -> Tensors:
    """One row by contract name, as numbers, text, nested lists, and null where a value is missing.

    Raises:
        BadRequest: names, shapes, kinds or bounds are not the contract's.
    """
    if set(stated) != set(contract.input_names):
        raise BadRequest(f"The inputs are {', '.join(contract.input_names)}.", "422")
    return {spec.name: _read_value(spec, stated[spec.name]) for spec in contract.inputs}


def _read_value(spec: TensorSpec, value: Any) -> np.ndarray:
    if spec.is_text:
        return _read_text(spec, value)
    if value is None and spec.missing and not spec.shape:
        value = math.nan
    try:
        array = np.array(_with_nan(value) if spec.missing else value, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"{spec.name} must be numbers of shape {spec.shape}.", "422") from error
    if array.shape != spec.shape:
        raise BadRequest(f"{spec.name} must have shape {spec.shape}; got {array.shape}.", "422")
    if not spec.missing and not np.isfinite(array).all():
        raise BadRequest(f"{spec.name} may not be missing.", "422")
    _check_bounds(spec, array)
    return array[None].astype(spec.dtype)


def _read_text(spec: TensorSpec, value: Any) -> np.ndarray:
    if value is None and spec.missing:
        value = ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadRequest(f"{spec.name} must be text of at most {LONGEST_TEXT} letters.", "422")
    return np.array([value])


def _check_bounds(spec: TensorSpec, array: np.ndarray) -> None:
    """A value beyond the contract may be asked about, but no value that its dtype cannot hold."""
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iuf":
        return
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    held = array[np.isfinite(array)]
    if np.isinf(array).any() or ((held < float(limits.min)) | (held > float(limits.max))).any():
        raise BadRequest(f"{spec.name} holds a number that {dtype} cannot hold.", "422")


def _with_nan(value: Any) -> Any:
    """``null`` as NaN, at any depth."""
    if isinstance(value, list):
        return [_with_nan(each) for each in value]
    return math.nan if value is None else value


def plain_row(inputs: Tensors) -> dict[str, Any]:
    """One row as JSON has it: what :func:`read_row` reads; NaN becomes null when it is encoded."""
    return {
        name: str(rows[0]) if rows.dtype.kind == "U" else np.ascontiguousarray(rows)[0]
        for name, rows in inputs.items()
    }
