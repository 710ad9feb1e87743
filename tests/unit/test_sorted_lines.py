"""Sorting on disk: the same as sorting in memory, whatever the lines and however small the memory."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.runtime.sorted_lines import SortedLines

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LINES = st.lists(st.tuples(KEYS, st.binary(max_size=60), st.text(max_size=5)), max_size=60)


def sort(folder: Path, lines: list[tuple[str, bytes, str]], run_bytes: int) -> list[Any]:
    taken = SortedLines(folder, run_bytes)
    try:
        for line in lines:
            taken.add(*line)
        return list(taken)
    finally:
        taken.close()


@given(LINES, st.integers(1, 400))
def test_lines_come_in_the_order_of_their_keys_as_utf8_and_equal_keys_as_they_were_added(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, bytes, str]], run_bytes: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert sort(folder, lines, run_bytes) == sorted(lines, key=lambda line: line[0].encode())


def test_lines_longer_than_a_block_and_a_great_many_runs_are_merged(tmp_path: Path) -> None:
    chance = random.Random(7)
    lines = [
        (f"{chance.randrange(10**6)}", bytes([chance.randrange(256)]) * chance.randrange(90_000), "")
        for _ in range(400)
    ]
    assert sort(tmp_path, lines, 200_000) == sorted(lines, key=lambda line: line[0])
    assert list(tmp_path.iterdir()) == []
