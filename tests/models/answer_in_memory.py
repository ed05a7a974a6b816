"""What a trained network says in memory; a process of its own, for it imports a framework.

Usage: python answer_in_memory.py <request.json>, a request with ``framework``, ``case``, ``cases_path`` (folders),
``constants``, ``weights`` (a safetensors file), ``inputs`` (an .npz of raw rows) and ``target``. Leaves an .npz
there: ``answer/<output>``, the network's own answers; ``encoded/<name>``, what its encoder makes of the rows;
``halves/<output>``, what its trained part makes of that.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import read_arrays, write_arrays
from models.case import load_case
from models.constants import read_constants
from models.framework import load_framework
from models.weights import read_weights_file


def main(request: dict[str, Any]) -> None:
    name = request["framework"]
    case = load_case(request["case"], map(Path, request["cases_path"]))
    framework = load_framework(name)
    framework.runtime.prepare(1, 7)
    constants = read_constants(Path(request["constants"]), case.contract)
    network = framework.training.build(case, constants)
    framework.training.load_weights(network, read_weights_file(Path(request["weights"])))
    raw = read_arrays(Path(request["inputs"]))
    with framework.training.as_predictor(network, case.contract) as predictor:
        answer = predictor.predict(raw)
    encoding = importlib.import_module(f"models.frameworks.{name}.encoding")
    encoded = encoding.encode(network, raw, case.contract)
    part = encoding.body(network, encoded.keys())
    found = {f"answer/{key}": rows for key, rows in answer.items()}
    found |= {f"encoded/{key}": rows for key, rows in encoded.items()}
    found |= {f"halves/{key}": rows for key, rows in _halves(name, part, encoded).items()}
    write_arrays(Path(request["target"]), found)


def _halves(framework: str, part: object, encoded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if framework == "tensorflow":
        outputs = part(encoded, training=False)  # type: ignore[operator]
        return {name: tensor.numpy() for name, tensor in outputs.items()}
    import torch

    with torch.inference_mode():
        outputs = part({n: torch.from_numpy(rows) for n, rows in encoded.items()})  # type: ignore[operator]
    return {name: tensor.numpy() for name, tensor in outputs.items()}


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
