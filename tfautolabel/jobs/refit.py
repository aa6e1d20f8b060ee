"""Runs again with answers that people gave since: the same data and settings, the labels of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import as_utf8, unix_csv
from tfautolabel.jobs.export_tasks import read_all
from tfautolabel.jobs.run import RunResult, run
from tfautolabel.labels import ABSTAIN
from tfautolabel.runs.commit import check_finished
from tfautolabel.runs.files import ANSWERED_ELSEWHERE
from tfautolabel.runs.inputs import Place, Source, load_by
from tfautolabel.runs.record import read_record, settings_of
from tfautolabel.runs.said import ASKED, CHOSEN, GIVEN, read_said


def refit(
    out: Place,
    answers: Place,
    *,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Adds answers to the labels of a run, and runs again into the same folder.

    All labels go to a new file in the folder, label_studio.1.csv and so on, which the new run names as its
    labels. An answer counts more than the label that was there before. What people were asked counts as
    chosen, not as drawn at random; see `tfautolabel.runs.said`.

    Args:
        out: the folder of the run.
        answers: a table of names and labels, such as an export of Label Studio.
        cache_dir: as for `run`.
        progress: as for `run`.
        say: as for `run`.

    Returns:
        The results of the new run.

    Raises:
        ValueError: If the labelled examples of the run lie elsewhere, or no answer is new.
        FileNotFoundError: If there is no run, or its data are gone.
        OSError: If a file cannot be written.
        RuntimeError: As for `run`.
    """
    out = Path(out)
    record = read_record(out)
    check_finished(out)
    source = Source.from_record(record)
    if source.labelled is not None:
        raise ValueError(
            "answers are added to labels in or beside the data. Received: a run whose labelled examples are "
            f"in {source.labelled}"
        )
    if source.path is not None and not source.path.exists():
        raise FileNotFoundError(
            f"the data of a run must still be where it was. Received: {out}, whose data was {source.data}"
        )
    exclude = [out] if source.labels is None else [out, Path(source.labels)]
    before = read_all(source, exclude)
    answered = load_by(source.settings, source.data, answers, exclude)
    names = [*map(str, before.ids)]
    old = [None if i == ABSTAIN else before.classes[i] for i in before.class_ids.tolist()]
    given = dict(zip(map(str, answered.ids), answered.class_ids.tolist(), strict=True))
    new = [None if (i := given.get(name, ABSTAIN)) == ABSTAIN else answered.classes[i] for name in names]
    if all(answer is None or answer == label for answer, label in zip(new, old, strict=True)):
        raise ValueError(f"a new answer is needed to learn from. Received: {len(names):,} tasks without one")
    said = read_said(source, names)
    all_chosen = source.settings.sampling == "chosen" and said.drawn is None
    file = _new_file(out)
    with atomic_write(file) as stream:
        writer = unix_csv(stream)
        writer.writerow(("id", "label", ASKED))
        for name, label, answer in zip(names, old, new, strict=True):
            # Rows without a label are listed too, so that numbers of rows are seen to count from 0.
            random = label is not None and not all_chosen and (said.drawn is None or name in said.drawn)
            known = answer if answer is not None else label
            how = "" if known is None else GIVEN if random else CHOSEN
            writer.writerow([as_utf8(name), "" if known is None else as_utf8(known), how])
    options: dict[str, Any] = {"cache_dir": cache_dir, "progress": progress, "say": say}
    try:
        settings = settings_of(record)
        beside: dict[str, Any] = {"rules": source.rules, "descriptions": source.descriptions}
        return run(source.data, out, labels=file, settings=settings, **beside, **options)
    except BaseException:
        file.unlink(missing_ok=True)  # no run names it
        raise


def _new_file(out: Path) -> Path:
    """Returns the first name that is free: an earlier run names an earlier file as its labels."""

    def names() -> Iterator[Path]:
        number = 1
        while True:
            yield out / ANSWERED_ELSEWHERE.format(number)
            number += 1

    return next(file for file in names() if not file.exists())
