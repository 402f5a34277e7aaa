import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mixture.table.rows import best_fit

CAPACITY = 64
lengths = st.lists(st.integers(1, CAPACITY), max_size=200)


@given(lengths)
def test_every_part_stands_in_one_row_that_holds_it(sizes):
    rows = best_fit(sizes, CAPACITY)
    assert sorted(part for row in rows for part in row) == list(range(len(sizes)))
    assert all(sum(sizes[part] for part in row) <= CAPACITY for row in rows)
    assert all(row == sorted(row) and row for row in rows)


@given(lengths)
def test_no_two_rows_could_be_one(sizes):
    """Best fit opens a row only when no other has room, so at most one row is half empty."""
    fills = sorted(sum(sizes[part] for part in row) for row in best_fit(sizes, CAPACITY))
    if len(fills) > 1:
        assert fills[0] + fills[1] > CAPACITY


@given(lengths)
@settings(max_examples=50)
def test_rows_equal_those_of_a_plain_best_fit(sizes):
    rows: list[list[int]] = []
    for part in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        room = [(CAPACITY - sum(sizes[p] for p in row), -n) for n, row in enumerate(rows)]
        fitting = [(space, number) for space, number in room if space >= sizes[part]]
        if fitting:
            rows[-min(fitting, key=lambda entry: entry[0])[1]].append(part)
        else:
            rows.append([part])
    assert len(best_fit(sizes, CAPACITY)) == len(rows)


@pytest.mark.parametrize("bad", [[0], [CAPACITY + 1]])
def test_part_without_a_place_is_an_error(bad):
    with pytest.raises(ValueError, match="between 1 and 64"):
        best_fit([1, *bad], CAPACITY)


def test_no_parts_give_no_rows():
    assert best_fit([], CAPACITY) == []
