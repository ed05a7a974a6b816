"""Record formats side by side: what reading and writing a row costs in each, on the flights' own rows.

TFRecord is the field's word. It is measured as both frameworks would read it: by tf.data, which parses whole
batches, and by Python with protobuf, which is what PyTorch without TensorFlow has.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure
from models.arrays import read_arrays, write_arrays
from models.artifact import size_of
from models.case import load_case
from models.dataset import Dataset, Split
from models.shards import MOST_ROWS, Shards, ShardWriter

ROWS = 4 * MOST_ROWS
PARSED_AT_ONCE = 1024


def format_figures(home: Path, source: Dataset) -> list[Figure]:
    """Every format's figures.

    Args:
        home: an empty folder.
        source: where the rows are from.
    """
    split = source.train.rows(np.arange(ROWS) % len(source.train))
    figures: list[Figure] = []
    for name, write, readers in (
        ("shards", write_shards, {"numpy, both frameworks": read_shards}),
        (".npz", write_npz, {"numpy, both frameworks": read_npz}),
        (
            "TFRecord",
            write_tfrecord,
            {"tf.data": read_by_tensorflow, "Python and protobuf": read_by_python},
        ),
    ):
        folder = home / name
        folder.mkdir()
        seconds = _seconds(partial(write, folder, split))
        note = f"{size_of(folder) / ROWS:,.0f} bytes a row"
        figures.append(Figure(f"{name}: written, a row", seconds / ROWS * 1e6, "µs", note=note))
        for reader, read in readers.items():
            seconds = min(_seconds(partial(read, folder)) for _ in range(3))
            figures.append(
                Figure(
                    f"{name}: read, a row", seconds / ROWS * 1e6, "µs", note=f"{reader}; best of 3"
                )
            )
    return figures


def write_shards(folder: Path, split: Split) -> None:
    """As the data stage does."""
    writer = ShardWriter(folder, "train")
    for part in _parts(split):
        writer.write(part)
    (folder / "index.json").write_text(json.dumps(writer.shards().to_json()))


def read_shards(folder: Path) -> int:
    """With their checksums, which a reader checks once."""
    index = json.loads((folder / "index.json").read_text())
    return sum(len(part) for part in Shards.from_json(folder, index).parts())


def write_npz(folder: Path, split: Split) -> None:
    """An archive a shard."""
    for number, part in enumerate(_parts(split)):
        write_arrays(folder / f"{number}.npz", {**part.inputs, "label": part.labels})


def read_npz(folder: Path) -> int:
    """zipfile checks its own checksums."""
    return sum(len(read_arrays(path)["label"]) for path in sorted(folder.glob("*.npz")))


def write_tfrecord(folder: Path, split: Split) -> None:
    """A `tf.train.Example` a row."""
    import tensorflow as tf  # noqa: PLC0415  # takes seconds, and only this needs it

    columns = {name: rows.tolist() for name, rows in split.inputs.items()}
    with tf.io.TFRecordWriter(str(folder / "train.tfrecord")) as writer:
        for row, label in enumerate(split.labels.tolist()):
            features = {name: _feature(tf, rows[row]) for name, rows in columns.items()}
            features["label"] = _feature(tf, label)
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def read_by_tensorflow(folder: Path) -> int:
    """Parsed a batch at a time, as TensorFlow's guide advises."""
    import tensorflow as tf  # noqa: PLC0415

    columns = {
        spec.name: tf.io.FixedLenFeature((), tf.string if spec.is_text else tf.float32)
        for spec in load_case("flights").contract.inputs
    }
    columns["label"] = tf.io.FixedLenFeature((), tf.int64)
    rows = (
        tf.data.TFRecordDataset(str(folder / "train.tfrecord"))
        .batch(PARSED_AT_ONCE)
        .map(lambda batch: tf.io.parse_example(batch, columns))
    )
    return sum(int(batch["label"].shape[0]) for batch in rows)


def read_by_python(folder: Path) -> int:
    """Length, its CRC, the record, its CRC; the CRCs are passed over, which flatters it."""
    from tensorflow.core.example.example_pb2 import Example  # noqa: PLC0415

    columns: dict[str, list[Any]] = {}
    with (folder / "train.tfrecord").open("rb") as stream:
        while header := stream.read(12):
            example = Example.FromString(stream.read(struct.unpack("<Q", header[:8])[0]))
            stream.read(4)
            for name, feature in example.features.feature.items():
                kind = feature.WhichOneof("kind")
                columns.setdefault(name, []).append(getattr(feature, kind).value[0])
    return len(np.array(columns["label"]))


def _feature(tf: Any, value: float | str) -> Any:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def _parts(split: Split) -> Iterator[Split]:
    return (
        split.rows(slice(start, start + MOST_ROWS)) for start in range(0, len(split), MOST_ROWS)
    )


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
