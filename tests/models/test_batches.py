"""The order of batches: covers every row, differs by epoch and seed, and never needs more than its window."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.batches import WINDOW_SHARDS, blocks, windows
from models.case import Training
from models.dataset import Dataset
from models.errors import ArtifactCorrupt
from models.framework import FRAMEWORKS
from models.shards import Shards, ShardWriter
from models.split import Split
from tests.conftest import Trained
from tests.models.batches_of_both import BATCH_SIZE, EPOCHS, SEEDS

PROJECT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("batches_of_both.py")


def written(folder: Path, shard_rows: list[int]) -> Shards:
    """Shards whose ``key`` counts the rows."""
    writer, first = ShardWriter(folder, "train"), 0
    for rows in shard_rows:
        key = np.arange(first, first + rows)
        words = np.array([f"row {each}" for each in key])
        writer.write(Split({"key": key, "word": words}, key % 3))
        first += rows
    return writer.shards()


def keys(shards: Shards, epoch: int, batch_size: int = 4, seed: int = 7) -> list[int]:
    plan = Training(batch_size=batch_size, seed=seed)
    return [key for block in blocks(shards, plan, epoch) for key in block.inputs["key"].tolist()]


def order_of(shard_rows: list[int], epoch: int, seed: int) -> list[int]:
    """The rows of an epoch as the docstring of ``models.batches`` says, without files."""
    first = np.concatenate([[0], np.cumsum(shard_rows)])
    found: list[int] = []
    for window in windows(shard_rows, epoch, seed):
        rows = np.concatenate([np.arange(first[n], first[n + 1]) for n in window.shards])
        found += rows[window.order].tolist()
    return found


@given(
    shard_rows=st.lists(st.integers(1, 9), min_size=1, max_size=3 * WINDOW_SHARDS),
    epoch=st.integers(0, 50),
    seed=st.integers(0, 2**31),
)
def test_every_epoch_covers_every_row_once(shard_rows, epoch, seed):
    order = order_of(shard_rows, epoch, seed)
    assert sorted(order) == list(range(sum(shard_rows)))


def test_rows_in_one_window_have_one_permutation_from_seed_and_epoch():
    """What was trained before there were shards is trained again, bit for bit."""
    expected = np.random.default_rng([7, 3]).permutation(50).tolist()
    assert order_of([16, 16, 16, 2], epoch=3, seed=7) == expected


def test_the_order_is_another_for_each_epoch_and_seed():
    shard_rows = [5] * (WINDOW_SHARDS + 3)
    orders = {tuple(order_of(shard_rows, epoch, seed)) for epoch in (0, 1) for seed in (7, 8)}
    assert len(orders) == 4
    assert order_of(shard_rows, 1, 8) == order_of(shard_rows, 1, 8)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 64, 1000])
def test_blocks_hold_whole_batches_in_that_order(tmp_path: Path, batch_size):
    shard_rows = [5] * (2 * WINDOW_SHARDS) + [3]
    shards = written(tmp_path, shard_rows)
    found = list(blocks(shards, Training(batch_size=batch_size, seed=7), epoch=2))
    order = order_of(shard_rows, 2, 7)
    assert np.concatenate([block.inputs["key"] for block in found]).tolist() == order
    assert all(len(block) % batch_size == 0 for block in found[:-1])
    words = np.concatenate([block.inputs["word"] for block in found]).tolist()
    assert words == [f"row {key}" for key in order]
    assert np.concatenate([block.labels for block in found]).tolist() == [k % 3 for k in order]


def test_no_more_than_a_window_is_ever_read_before_its_batches_are_asked_for(
    tmp_path: Path, monkeypatch
):
    shards = written(tmp_path, [4] * (5 * WINDOW_SHARDS))
    read: list[str] = []
    whole_read = Shards.shard

    def counted(self: Shards, number: int) -> Split:
        read.append(self.shards[number].file)
        return whole_read(self, number)

    monkeypatch.setattr(Shards, "shard", counted)
    most_rows = 0
    for place, block in enumerate(blocks(shards, Training(batch_size=3, seed=7), epoch=0), start=1):
        assert len(read) == place * WINDOW_SHARDS
        most_rows = max(most_rows, len(block))
    assert most_rows < 4 * WINDOW_SHARDS + 3
    assert sorted(read) == sorted(shard.file for shard in shards.shards)


def test_a_window_is_gone_before_there_is_room_made_for_the_next(tmp_path: Path, monkeypatch):
    shards = written(tmp_path, [4] * (4 * WINDOW_SHARDS))
    made: list[weakref.ref[np.ndarray]] = []
    make_room = Shards.room

    def watched(self: Shards, rows: int) -> Split:
        assert not [one for one in made if one() is not None]
        room = make_room(self, rows)
        made.append(weakref.ref(room.labels))
        return room

    monkeypatch.setattr(Shards, "room", watched)
    for block in blocks(shards, Training(batch_size=3, seed=7), epoch=0):
        del block
    assert len(made) == 4


@pytest.mark.frameworks
def test_both_frameworks_draw_the_same_batches_from_the_same_shards(tmp_path: Path, monkeypatch):
    """More shards than a window, a batch size that divides nothing, two epochs, two seeds."""
    monkeypatch.setattr("models.shards.MOST_ROWS", 5)
    key = np.arange(5 * (2 * WINDOW_SHARDS) + 3)
    train = Split({"key": key, "x": np.stack([key, -key], axis=1).astype(np.float32)}, key % 3)
    few = train.rows(slice(0, 4))
    Dataset(train, few, few).write(tmp_path / "dataset")
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(drawn, tmp_path / "dataset"), FRAMEWORKS)
        of = dict(zip(FRAMEWORKS, found, strict=True))
    assert of["tensorflow"] == of["pytorch"]
    shard_rows = [5] * (2 * WINDOW_SHARDS) + [3]
    for seed in SEEDS:
        keys_in_turn = [batch[0] for batch in of["pytorch"][str(seed)]]
        expected = [order_of(shard_rows, epoch, seed) for epoch in range(EPOCHS)]
        assert expected[0] != expected[1]
        assert keys_in_turn == [
            order[start : start + BATCH_SIZE]
            for order in expected
            for start in range(0, len(order), BATCH_SIZE)
        ]
    for keys_of, x, labels in of["tensorflow"]["7"]:
        assert x == [[each, -each] for each in keys_of]
        assert labels == [each % 3 for each in keys_of]


def drawn(folder: Path, framework: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), framework, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.frameworks
def test_a_training_on_a_shard_that_is_cut_off_ends_by_name_and_leaves_nothing(
    trained: Trained, tmp_path: Path
):
    shutil.copytree(trained.data.path, tmp_path / "dataset")
    shard = tmp_path / "dataset" / "train-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])

    def train(framework: str) -> str:
        folder = trained.space.initial_folder(framework, trained.data.basis)
        target = tmp_path / "training" / framework
        with pytest.raises(ArtifactCorrupt) as told:
            trained.space.call(
                framework, "train", str(shard.parent), initial=str(folder), target=str(target)
            )
        return str(told.value)

    with ThreadPoolExecutor() as pool:
        assert all("train-00000.safetensors" in told for told in pool.map(train, FRAMEWORKS))
    assert not list((tmp_path / "training").iterdir())


def test_a_shard_that_is_cut_off_ends_the_epoch_by_name(tmp_path: Path):
    shards = written(tmp_path, [4] * (2 * WINDOW_SHARDS))
    last = tmp_path / shards.shards[-1].file
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(ArtifactCorrupt, match=last.name):
        keys(shards, epoch=0)
