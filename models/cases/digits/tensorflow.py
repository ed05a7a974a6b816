"""The digits network in Keras."""

import keras


def network() -> keras.Model:
    """Raw pixels (N, 8, 8, 1), 0 to 16, to ``logits`` and ``probabilities`` (N, 10)."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Rescaling(1 / 16)(image)
    x = _block(x, filters=32, number=1)  # (N, 8, 8, 32)
    x = _block(x, filters=64, number=2)  # (N, 8, 8, 64)
    x = keras.layers.MaxPooling2D(2)(x)  # (N, 4, 4, 64)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(64, activation="relu", name="hidden")(x)
    logits = keras.layers.Dense(10, name="classifier")(x)
    return keras.Model(
        image, {"logits": logits, "probabilities": keras.layers.Softmax()(logits)}, name="digits"
    )


def _block(x: keras.KerasTensor, filters: int, number: int) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, name=f"convolution{number}"
    )(x)
    # Keras' momentum is the share that is KEPT; its default epsilon is 1e-3 and PyTorch's is 1e-5.
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"normalisation{number}")(
        x
    )
    return keras.layers.ReLU()(x)
