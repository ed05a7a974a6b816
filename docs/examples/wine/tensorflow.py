"""The wine network in Keras."""

import keras

from .case import CASE


def network() -> keras.Model:
    """Five raw figures (N, 1) to ``logits`` and ``probabilities`` (N, 3)."""
    specs = CASE.contract.inputs
    inputs = {spec.name: keras.Input(spec.shape, name=spec.name) for spec in specs}
    # From 0 (lowest) to 1 (highest), inside the model: clients send what they measured.
    scaled = [(inputs[spec.name] - spec.low) / (spec.high - spec.low) for spec in specs]
    x = keras.layers.Concatenate()(scaled)  # (N, 5)
    x = keras.layers.Dense(16, activation="relu", name="hidden")(x)
    logits = keras.layers.Dense(3, name="classifier")(x)
    return keras.Model(
        inputs, {"logits": logits, "probabilities": keras.layers.Softmax()(logits)}, name="wine"
    )
