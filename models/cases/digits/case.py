"""Handwritten digits: 1,797 real 8x8 scans (UCI optical recognition of handwritten digits)."""

from models.case import Case, Training
from models.contract import Contract, TensorSpec

CASE = Case(
    name="digits",
    title="Handwritten digits, 8x8 scans",
    contract=Contract(
        inputs=(
            TensorSpec(
                "image", "float32", (8, 8, 1), "ink per cell, 0 (none) to 16 (full)", low=0, high=16
            ),
        ),
        outputs=(
            TensorSpec("logits", "float32", (10,), "unnormalised log-probabilities"),
            TensorSpec("probabilities", "float32", (10,), "softmax of the logits"),
        ),
        labels=tuple("0123456789"),
        scores="probabilities",
        logits="logits",
    ),
    min_test_accuracy=0.97,
    training=Training(epochs=20, batch_size=32, learning_rate=2e-3, seed=7),
)
