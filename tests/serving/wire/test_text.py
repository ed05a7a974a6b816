"""Text as two tensors of numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.wire.text import without_text


def test_a_word_a_row_becomes_bytes_and_lengths():
    found = without_text({"carrier": np.array(["UA", "", "ü"]), "x": np.ones(3, np.float32)})
    assert list(found) == ["carrier", "carrier.length", "x"]
    assert found["carrier"].tolist() == [[85, 65], [0, 0], [0xC3, 0xBC]]
    assert found["carrier"].dtype == np.uint8
    assert found["carrier.length"].tolist() == [2, 0, 2]
    assert found["carrier.length"].dtype == np.int64


def test_empty_words_still_have_a_column():
    assert without_text({"w": np.array(["", ""])})["w"].shape == (2, 1)


@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1)
)
def test_every_word_can_be_read_back(words):
    array = np.array(words, np.str_)
    found = without_text({"w": array})
    rows = zip(found["w"], found["w.length"].tolist(), strict=True)
    assert [bytes(row[:length]).decode() for row, length in rows] == array.tolist()
