"""The handler that travels inside the ``.mar`` and answers in TorchServe's worker process.

It needs nothing of TwinServe: ``contract.json`` beside it says what the model takes and gives. The
TorchScript module's ``forward`` takes those inputs by position (text as ``List[str]``) and returns
``Dict[str, Tensor]``.

A request is either JSON (REST body; gRPC key ``data`` or ``body``) as TF Serving's REST interface
defines it, ``{"instances": [...]}`` or ``{"inputs": ...}``
(https://www.tensorflow.org/tfx/serving/api_rest), or safetensors bytes (gRPC key ``safetensors``).
The answer has the form of its question. In JSON, ``null`` and ``NaN`` stand for a missing value where the
contract lets it be missing. Safetensors have no text: a text input is two tensors there, its words' bytes as
uint8 (N, longest) under its name, and their lengths as int64 (N,) under its name and ``.length``.

A request that cannot be answered gets status 400 and a message. TorchServe 0.12 passes a status on
over gRPC only when the WHOLE batch fails (its ``GRPCJob.response`` drops the status of a single
one), so a lone request's error is raised, and in a mixed batch it is sent as that request's answer.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors
from ts.utils.util import PredictionException

Arrays = dict[str, np.ndarray]
Spec = Mapping[str, Any]
Encoder = Callable[[Arrays], bytes]
Decoded = tuple[Arrays, Encoder]

BAD_REQUEST, MODEL_FAILED = 400, 500
TEXT, LENGTH = "string", ".length"
NOT_NUMBERS = {
    "U": "strings",
    "b": "booleans",
    "O": "null, objects, or whole numbers beyond 64 bits",
}
"""What numpy's kinds of array mean for JSON that should have been numbers."""

logger = logging.getLogger(__name__)


class ScriptedModel:
    """A TorchScript file held to its contract. TorchServe wants one class in this module."""

    def initialize(self, context: Any) -> None:
        """Load the module and answer one row: a model that cannot is found out at the start.

        Raises:
            RuntimeError: the module disagrees with the contract; TorchServe then reports the worker
                dead.
        """
        folder = Path(context.system_properties["model_dir"])
        self.contract: dict[str, Any] = json.loads((folder / "contract.json").read_text())
        self._device = _device(context.system_properties.get("gpu_id"))
        script = str(folder / context.manifest["model"]["serializedFile"])
        self._module = torch.jit.load(script, map_location=self._device).eval()
        row = {spec["name"]: _lowest_row(spec) for spec in self.contract["inputs"]}
        # TorchScript's executor profiles the first two calls of a shape; requests should not wait
        # for it.
        for _ in range(2):
            _check_outputs(self.contract["outputs"], self._forward(row))

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[Any]:
        """Answer a batch of requests.

        Args:
            data: one mapping per request: part name -> value.
            context: TorchServe's; says whether this is a description, takes each answer's status.

        Returns:
            one body per request.

        Raises:
            PredictionException: the only request of the batch cannot be answered.
        """
        if context.get_request_header(0, "describe") == "True":
            return [self.contract]
        decoded = [_or_error(self._decode, request) for request in data]
        answers = self._answer(decoded)
        if len(answers) == 1 and isinstance(answers[0], PredictionException):
            raise answers[0]
        return [_body(context, index, answer) for index, answer in enumerate(answers)]

    def _decode(self, request: Mapping[str, Any]) -> Decoded:
        if "safetensors" in request:
            return read_safetensors(bytes(request["safetensors"]), self.contract["inputs"])
        for part in ("body", "data"):
            if part in request:
                return read_json(request[part], self.contract)
        raise _bad(f"Send 'safetensors' or 'data'; got {sorted(request) or 'nothing'}.")

    def _answer(self, decoded: list[Decoded | PredictionException]) -> list[Any]:
        """Good requests go through the model together; if that fails, each goes alone."""
        answers: list[Any] = list(decoded)
        good = [index for index, each in enumerate(decoded) if isinstance(each, tuple)]
        inputs = [decoded[index][0] for index in good]
        for index, outputs in zip(good, self._forward_all(inputs), strict=True):
            encode = decoded[index][1]
            answers[index] = outputs if isinstance(outputs, Exception) else encode(outputs)
        return answers

    def _forward_all(self, batches: list[Arrays]) -> list[Arrays | PredictionException]:
        if len(batches) < 2:
            return [_or_error(self._forward, each) for each in batches]
        whole = {name: np.concatenate([each[name] for each in batches]) for name in batches[0]}
        outputs = _or_error(self._forward, whole)
        if isinstance(outputs, PredictionException):
            return [_or_error(self._forward, each) for each in batches]
        ends = np.cumsum([_rows(each) for each in batches])[:-1]
        parts = {name: np.split(array, ends) for name, array in outputs.items()}
        return [{name: parts[name][i] for name in parts} for i in range(len(batches))]

    def _forward(self, inputs: Arrays) -> Arrays:
        names = [spec["name"] for spec in self.contract["inputs"]]
        tensors = [_argument(inputs[name], self._device) for name in names]
        try:
            with torch.inference_mode():
                outputs = self._module(*tensors)
        except Exception as error:
            # The first line names the operation; TorchScript's trace below it belongs in the log.
            logger.exception("The model failed.")
            reason = str(error).strip().splitlines()[-1:] or [repr(error)]
            raise PredictionException(f"The model failed: {reason[0]}", MODEL_FAILED) from error
        return {name: tensor.cpu().numpy() for name, tensor in outputs.items()}


def read_json(body: Any, contract: Mapping[str, Any]) -> Decoded:
    """The inputs in a JSON body, and the encoder that answers in the same form.

    Args:
        body: bytes, text, or what TorchServe has already parsed.

    Raises:
        PredictionException: status 400 and what is wrong with it.
    """
    request = _parse(body)
    specs = contract["inputs"]
    names = [spec["name"] for spec in contract["outputs"]]
    if "instances" in request:
        columns = _columns_of_rows(request["instances"], specs)
        return _arrays(columns, specs), lambda outputs: _write_rows(outputs, names)
    if "inputs" in request:
        columns = _columns(request["inputs"], specs)
        return _arrays(columns, specs), lambda outputs: _write_columns(outputs, names)
    raise _bad("The body has neither 'instances' (a list of rows) nor 'inputs' (columns).")


def read_safetensors(body: bytes, specs: Sequence[Spec]) -> Decoded:
    """The inputs in safetensors bytes, dtypes exactly the contract's.

    Raises:
        PredictionException: status 400 and what is wrong with it.
    """
    try:
        tensors = load_safetensors(body)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _bad(f"The bytes are not safetensors: {error}.") from error
    tensors = _with_text(tensors, specs)
    _check_names(tensors, specs, "The request")
    for spec in specs:
        if spec["dtype"] == TEXT:
            continue
        found = tensors[spec["name"]]
        if str(found.dtype) != spec["dtype"]:
            raise _bad(f"Input {spec['name']!r} must be {spec['dtype']}; got {found.dtype}.")
        _check_shape(found, spec)
    _check_rows(tensors)
    return tensors, _write_safetensors


def _parse(body: Any) -> Mapping[str, Any]:
    try:
        request = json.loads(bytes(body)) if isinstance(body, bytes | bytearray) else body
        request = json.loads(request) if isinstance(request, str) else request
    except (ValueError, RecursionError) as error:
        raise _bad(f"The body is not JSON: {error}.") from error
    if not isinstance(request, dict):
        raise _bad(f"The body must be a JSON object; got {type(request).__name__}.")
    return request


def _columns_of_rows(rows: Any, specs: Sequence[Spec]) -> dict[str, Any]:
    if not isinstance(rows, list) or not rows:
        raise _bad("'instances' must be a list with at least one row.")
    if len(specs) == 1 and not any(isinstance(row, dict) for row in rows):
        return {specs[0]["name"]: rows}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise _bad(f"Row {number} must be an object that names its inputs.")
        _check_names(row, specs, f"Row {number}")
    return {spec["name"]: [row[spec["name"]] for row in rows] for spec in specs}


def _columns(inputs: Any, specs: Sequence[Spec]) -> dict[str, Any]:
    if isinstance(inputs, dict):
        _check_names(inputs, specs, "'inputs'")
        return inputs
    if len(specs) != 1:
        raise _bad("'inputs' must be an object that names its inputs.")
    return {specs[0]["name"]: inputs}


def _arrays(columns: Mapping[str, Any], specs: Sequence[Spec]) -> Arrays:
    arrays = {spec["name"]: _array(columns[spec["name"]], spec) for spec in specs}
    _check_rows(arrays)
    return arrays


def _array(values: Any, spec: Spec) -> np.ndarray:
    """Nested lists as one array (N, ...) of the contract's dtype; nothing is converted silently."""
    if spec["dtype"] == TEXT:
        return _words(values, spec)
    name, wanted = spec["name"], np.dtype(spec["dtype"])
    try:
        found = np.asarray(_with_nan(values) if spec.get("missing") else values)
    except (ValueError, OverflowError) as error:
        raise _bad(f"Input {name!r} has rows of different lengths; {_wanted(spec)}.") from error
    if found.dtype.kind in NOT_NUMBERS and found.dtype.kind != wanted.kind:
        kind = NOT_NUMBERS[found.dtype.kind]
        raise _bad(f"Input {name!r} must hold numbers ({wanted}); got {kind}.")
    _check_shape(found, spec)
    if wanted.kind in "iuf" and not _fits(found, wanted):
        raise _bad(f"Input {name!r} holds numbers that {wanted} cannot hold.")
    return np.ascontiguousarray(found, wanted)


def _words(values: Any, spec: Spec) -> np.ndarray:
    """A list of words as text (N,); ``null`` is an empty word where the contract lets it be missing."""
    if not isinstance(values, list) or not values:
        raise _bad(f"Input {spec['name']!r} must be a word a row; {_wanted(spec)}.")
    words = ["" if word is None and spec.get("missing") else word for word in values]
    for word in words:
        if not isinstance(word, str):
            kind = "a list, so another shape" if isinstance(word, list) else type(word).__name__
            raise _bad(f"Input {spec['name']!r} must be of type string; got {kind}.")
    return np.array(words, np.str_)


def _with_nan(values: Any) -> Any:
    """``null`` as NaN, at any depth."""
    if isinstance(values, list):
        return [_with_nan(value) for value in values]
    return float("nan") if values is None else values


def _with_text(tensors: Arrays, specs: Sequence[Spec]) -> Arrays:
    """The tensors, each text's two joined to one (N,)."""
    joined = dict(tensors)
    for name in [spec["name"] for spec in specs if spec["dtype"] == TEXT]:
        if name in tensors:
            joined[name] = _joined(name, tensors[name], joined.pop(name + LENGTH, None))
    return joined


def _joined(name: str, letters: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    if letters.dtype != np.uint8 or letters.ndim != 2 or not len(letters):
        raise _bad(
            f"Input {name!r} must be text: uint8 of shape (N, longest) with N of at least 1; got "
            f"{letters.dtype} of shape {letters.shape}."
        )
    if lengths is None or lengths.dtype != np.int64 or lengths.shape != letters.shape[:1]:
        raise _bad(f"Input {name!r} lacks its lengths, {name + LENGTH!r}: int64 of shape (N,).")
    if lengths.min() < 0 or lengths.max() > letters.shape[1]:
        raise _bad(f"Input {name!r} has lengths beyond its {letters.shape[1]} bytes a row.")
    rows = zip(letters, lengths.tolist(), strict=True)
    try:
        return np.array([row[:length].tobytes().decode() for row, length in rows], np.str_)
    except UnicodeDecodeError as error:
        raise _bad(f"Input {name!r} is not UTF-8: {error}.") from error


def _argument(array: np.ndarray, device: torch.device) -> Any:
    """An input as TorchScript takes it."""
    return array.tolist() if array.dtype.kind == "U" else torch.from_numpy(array).to(device)


def _fits(found: np.ndarray, wanted: np.dtype) -> bool:
    """Whether every number is in range, and whole where it must be; infinity is a float's own."""
    if wanted.kind == "f":
        finite = found[np.isfinite(found)]
        return bool((np.abs(finite) <= np.finfo(wanted).max).all())
    limits = np.iinfo(wanted)
    return found.dtype.kind in "iu" and limits.min <= found.min() and found.max() <= limits.max


def _check_names(found: Mapping[str, Any], specs: Sequence[Spec], where: str) -> None:
    wanted = [spec["name"] for spec in specs]
    if missing := [name for name in wanted if name not in found]:
        raise _bad(f"{where} lacks the input(s) {missing}; it has {sorted(found)}.")
    if unknown := sorted(set(found) - set(wanted)):
        raise _bad(f"{where} has the unknown input(s) {unknown}; the model takes {wanted}.")


def _check_shape(found: np.ndarray, spec: Spec) -> None:
    if found.ndim != len(spec["shape"]) + 1:
        problem = f"rank {found.ndim}, shape {found.shape}"
    elif found.shape[1:] != tuple(spec["shape"]) or not len(found):
        problem = f"shape {found.shape}"
    else:
        return
    raise _bad(f"Input {spec['name']!r} has {problem}; {_wanted(spec)}.")


def _check_rows(arrays: Arrays) -> None:
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        raise _bad(f"The inputs have different numbers of rows: {rows}.")


def _check_outputs(specs: Sequence[Spec], outputs: Arrays) -> None:
    wanted = {spec["name"]: (spec["dtype"], (1, *spec["shape"])) for spec in specs}
    found = {name: (str(array.dtype), array.shape) for name, array in outputs.items()}
    if wanted != found:
        raise RuntimeError(f"The model answers one row with {found}; the contract says {wanted}.")


def _write_rows(outputs: Arrays, names: Sequence[str]) -> bytes:
    columns = [outputs[name].tolist() for name in names]
    rows = zip(*columns, strict=True)
    values = columns[0] if len(names) == 1 else [dict(zip(names, row, strict=True)) for row in rows]
    return _dump({"predictions": values})


def _write_columns(outputs: Arrays, names: Sequence[str]) -> bytes:
    columns = {name: outputs[name].tolist() for name in names}
    return _dump({"outputs": columns[names[0]] if len(names) == 1 else columns})


def _write_safetensors(outputs: Arrays) -> bytes:
    packed = save_safetensors({name: np.ascontiguousarray(each) for name, each in outputs.items()})
    return bytes(packed)


def _body(context: Any, index: int, answer: Any) -> bytes:
    """The answer of one request of a batch; an error carries its own status."""
    if isinstance(answer, PredictionException):
        context.set_response_status(answer.error_code, "", index)
        answer = _dump({"code": answer.error_code, "type": "error", "message": answer.message})
    body = bytes(answer)
    if body[:1] == b"{":
        context.set_response_content_type(index, "application/json")
    return body


def _or_error(work: Callable[[Any], Any], argument: Any) -> Any:
    try:
        return work(argument)
    except PredictionException as error:
        return error


def _bad(message: str) -> PredictionException:
    return PredictionException(message, BAD_REQUEST)


def _wanted(spec: Spec) -> str:
    shape = ", ".join(("N", *map(str, spec["shape"])))
    return f"it must have shape ({shape}) with N of at least 1"


def _lowest_row(spec: Spec) -> np.ndarray:
    if spec["dtype"] == TEXT:
        return np.array([""])
    return np.full((1, *spec["shape"]), spec.get("low") or 0, spec["dtype"])


def _rows(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _device(gpu_id: Any) -> torch.device:
    has_gpu = gpu_id is not None and torch.cuda.is_available()
    return torch.device(f"cuda:{gpu_id}" if has_gpu else "cpu")
