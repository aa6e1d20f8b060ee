"""The names of the files in a run's folder; they are written out only here."""

from __future__ import annotations

from tfautolabel._model_folder import DESCRIPTION as MODEL_DESCRIPTION

RECORD = "run.json"
"""The record of what was done and what came out; see `tfautolabel.runs.record`."""

PREDICTIONS_CSV, PREDICTIONS_PARQUET = "predictions.csv", "predictions.parquet"
PREDICTIONS = (PREDICTIONS_CSV, PREDICTIONS_PARQUET)
"""A row for each example of the pool, the same in both files; see `tfautolabel.data.LabelsWriter`."""

UNREADABLE, EARLIER_UNREADABLE = "unreadable.csv", "rejected.csv"
"""The examples that could not be read, with reasons; its earlier name is only read."""

CANDIDATES = "audit_pool.parquet"
"""The labels that an audit draws from; see `tfautolabel.runs.candidates`."""

AUDIT_LIST = "audit.csv"
"""The items that a person checks, with a column for the answers; see `tfautolabel.runs.audit_list`."""

EVIDENCE = "evidence.npz"
"""The results from features that the report shows; see `tfautolabel.runs.evidence`."""

LEARNT = "learnt.txt"
"""Hashes of the contents that were learnt from, for `evaluate`; see `tfautolabel.runs.learnt`."""

REPORT = "report.html"
MODELS, VERSION = "model", "1"
"""The exported model is the version folder model/1, because servers look for numbers."""

TUNING = "tuning"
"""The folder of a search for a better head; an interrupted search continues there."""

ANSWERS = "answers.sqlite"
"""What people answered; see `tfautolabel.runs.answers`. It grows over all runs in the folder."""

ANSWERS_CSV, ANSWERED_LABELS = "answers.csv", "labels.csv"
"""All answers as a table, and the labels that hold; a review writes both for people and for `run`."""

ANSWERED_ELSEWHERE = "label_studio.{}.csv"
"""All labels with the answers from elsewhere, from number 1 on; see `tfautolabel.jobs.refit`."""

LOCK = ".lock"
"""The lock of the process that works on the folder; see `tfautolabel.runs.lock`."""

COMMIT = ".commit"
"""A run that is decided but not yet moved to its place; see `tfautolabel.runs.commit`."""

DESCRIPTION = f"{MODELS}/{VERSION}/{MODEL_DESCRIPTION}"

DATA = (*PREDICTIONS, UNREADABLE, CANDIDATES, EVIDENCE, LEARNT)
"""Files that only a run writes."""

FILES = (*DATA, AUDIT_LIST, REPORT, RECORD)
"""All files of a run that lie directly in its folder."""
