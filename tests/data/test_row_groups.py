from tfautolabel._ahead import map_ahead
from tfautolabel.data import ReadFailure
from tfautolabel.data import row_groups as module
from tfautolabel.data.row_groups import RowGroups, bytes_of, row_groups


def ranges(groups, sizes):
    """What is read when rows have these sizes."""
    found = []
    for rows in groups:
        values = [bytes(sizes[row]) for row in rows]
        groups.took(values)
        found.append(list(rows))
    return found


def test_rows_of_the_usual_size_are_read_as_asked():
    assert ranges(row_groups(70, 32, "image"), [10] * 70) == [
        [*range(32)], [*range(32, 64)], [*range(64, 70)]
    ]  # fmt: skip


def test_sound_begins_with_few_and_doubles():
    assert [len(rows) for rows in ranges(row_groups(70, 32, "audio"), [10] * 70)] == [1, 2, 4, 8, 16, 32, 7]


def test_large_rows_are_read_alone(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    sizes = [100] * 8 + [400] * 12 + [5000] * 4 + [1] * 4
    found = ranges(RowGroups(len(sizes), 8), sizes)
    assert [row for rows in found for row in rows] == [*range(len(sizes))]
    assert [len(rows) for rows in found] == [8, 8, 2, 2, 2, 1, 1, 1, 2, 1]
    groups = RowGroups(3, 2)
    groups.took([ReadFailure("gone")])
    assert [len(rows) for rows in groups] == [2, 1]
    assert bytes_of([b"abc", ReadFailure("gone")]) == 3


def test_nothing_is_worked_on_ahead_of_results_that_are_large():
    at_once, most = set(), 0

    def work(item):
        return item

    for result in map_ahead(work, _noted(at_once), size=lambda _: 10, most=9):
        at_once.discard(result)
        most = max(most, len(at_once))
    assert most <= 1


def _noted(taken):
    for item in range(20):
        taken.add(item)
        yield item
