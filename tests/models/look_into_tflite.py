"""What LiteRT alone says of the exported TFLite files: ``look_into_tflite.py <version> <rows.npz>``."""

import json
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

with np.load(sys.argv[2]) as data:
    images, labels = data["images"], data["labels"]


def facts(name: str) -> dict[str, object]:
    interpreter = Interpreter(model_path=f"{sys.argv[1]}/tensorflow/{name}")
    runner = interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    scale, zero_point = inputs["image"]["quantization"]
    rows = np.round(images / scale + zero_point).astype(np.int8) if scale else images
    answers = [runner(image=rows)["probabilities"] for _ in range(2)]
    kinds = {np.dtype(each["dtype"]).name for each in interpreter.get_tensor_details()}
    return {
        "inputs": {name: np.dtype(each["dtype"]).name for name, each in inputs.items()},
        "outputs": {name: np.dtype(each["dtype"]).name for name, each in outputs.items()},
        "scales": [
            float(each["quantization"][0]) for each in (*inputs.values(), *outputs.values())
        ],
        "kinds": sorted(kinds),
        "batches": {n: list(runner(image=rows[:n])["probabilities"].shape) for n in (1, 7, 33)},
        "same_twice": bool((answers[0] == answers[1]).all()),
        "accuracy": float((answers[0].argmax(1) == labels).mean()),
    }


print(json.dumps({"float32": facts("model.tflite"), "int8": facts("model_int8.tflite")}))
