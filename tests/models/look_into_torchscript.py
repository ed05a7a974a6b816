"""What PyTorch alone says of an exported TorchScript file: ``look_into_torchscript.py <version> <rows.npz>``."""

import json
import sys

import numpy as np
import torch

module = torch.jit.load(f"{sys.argv[1]}/pytorch/model.pt")
with np.load(sys.argv[2]) as data:
    images, labels = torch.from_numpy(data["images"]), data["labels"]


def scores(rows: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return module(rows)["probabilities"].numpy()


before = scores(images)
print(
    json.dumps(
        {
            "arguments": [a.name for a in module.forward.schema.arguments if a.name != "self"],
            "outputs": sorted(module(images[:1])),
            "parameters": len(list(module.parameters())),
            "has_mode": hasattr(module, "training"),
            "graph": str(module.inlined_graph),
            "batches": {n: list(scores(images[:n]).shape) for n in (1, 7, 33)},
            "same_twice": bool((before == scores(images)).all()),
            "accuracy": float((before.argmax(1) == labels).mean()),
            "scaled_by_client": float(np.abs(scores(images / 16) - before).max()),
        }
    )
)
