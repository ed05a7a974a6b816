"""Writes a model that shows what batch it was run with: ``python batching_model_writer.py FOLDER``.

``FOLDER/saved_model`` is the model, ``FOLDER/warmup`` has files of recorded requests.
"""

import sys
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog


class Mirror(tf.Module):
    """x float32 (N, ...) -> what was in the batch around it."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, name="x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        every = tf.ones_like(x[:, 0])
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0), ["negative"])]):
            double = x * 2
        return {
            "double": double,  # (N, width)
            "rows": every * tf.cast(tf.shape(x)[0], tf.float32),  # (N,)
            "total": every * tf.reduce_sum(x),  # (N,)
        }

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, name="x")])
    def odd(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"double": x * 2, "sum": tf.reduce_sum(x), "first": x[:1]}

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.float32, name="a"),
            tf.TensorSpec((None,), tf.float32, name="b"),
        ]
    )
    def pair(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"a": a * 2, "b": b * 2}


def predict_log(value: float, rows: int = 1) -> PredictionLog:
    logged = PredictionLog()
    tensor = tf.make_tensor_proto([[value, 1.0]] * rows, tf.float32)
    logged.predict_log.request.inputs["x"].CopyFrom(tensor)
    return logged


def streamed_log() -> PredictionLog:
    logged = PredictionLog()
    logged.predict_streamed_log.request.add()
    return logged


def write_records(path: Path, logs: list[PredictionLog]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    model = Mirror()
    tf.saved_model.save(
        model,
        str(folder / "saved_model"),
        signatures={"serving_default": model.serve, "odd": model.odd, "pair": model.pair},
    )
    write_records(folder / "warmup" / "good", [predict_log(1), PredictionLog(), predict_log(2)])
    write_records(folder / "warmup" / "wide", [predict_log(1, rows=2)])
    write_records(folder / "warmup" / "failing", [predict_log(1), predict_log(-1)])
    write_records(folder / "warmup" / "streamed", [streamed_log()])
    write_records(folder / "warmup" / "many", [PredictionLog()] * 1001)
