"""Which of three growers made a wine: 178 chemical analyses (UCI wine recognition data)."""

from models.case import Case, Training
from models.contract import Contract, TensorSpec

CASE = Case(
    name="wine",
    title="Wine growers, five figures of a chemical analysis",
    contract=Contract(
        inputs=(
            TensorSpec("alcohol", "float32", (1,), "volume, %", low=11, high=15),
            TensorSpec("flavanoids", "float32", (1,), "flavanoids, g/l", low=0, high=5),
            TensorSpec("colour", "float32", (1,), "intensity of colour", low=1, high=13),
            TensorSpec("hue", "float32", (1,), "hue", low=0, high=2),
            TensorSpec("proline", "float32", (1,), "proline, mg/l", low=250, high=1700),
        ),
        outputs=(
            TensorSpec("logits", "float32", (3,), "unnormalised log-probabilities"),
            TensorSpec("probabilities", "float32", (3,), "softmax of the logits"),
        ),
        labels=("grower A", "grower B", "grower C"),
        scores="probabilities",
        logits="logits",
    ),
    min_test_accuracy=0.9,
    training=Training(epochs=40, batch_size=16, learning_rate=1e-2, seed=3),
)
