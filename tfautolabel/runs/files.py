"""What the files in a run's folder are called: nothing else spells these names out."""

from __future__ import annotations

from tfautolabel._model_folder import DESCRIPTION as MODEL_DESCRIPTION

RECORD = "run.json"
"""What was done and what came out; see `tfautolabel.runs.record`."""

PREDICTIONS_CSV, PREDICTIONS_PARQUET = "predictions.csv", "predictions.parquet"
PREDICTIONS = (PREDICTIONS_CSV, PREDICTIONS_PARQUET)
"""A row for each example of the pool, twice the same; see `tfautolabel.data.LabelsWriter`."""

REJECTED = "rejected.csv"
"""What could not be read, and why."""

CANDIDATES = "audit_pool.parquet"
"""The labels that an audit is drawn from; see `tfautolabel.runs.candidates`."""

AUDIT_LIST = "audit.csv"
"""Items that a person looks at, with a column for what was found; see `tfautolabel.runs.audit_list`."""

EVIDENCE = "evidence.npz"
"""What the report shows of features; see `tfautolabel.runs.evidence`."""

LEARNT = "learnt.txt"
"""Hashes of what was learnt from, for `evaluate`; see `tfautolabel.runs.learnt`."""

REPORT = "report.html"
MODELS, VERSION = "model", "1"
"""The exported model is the version folder model/1: servers look for numbers."""

TUNING = "tuning"
"""The folder of a search for a better head, which goes on where it was."""

LOCK = ".lock"
"""Held by the process that works on the folder; see `tfautolabel.runs.lock`."""

COMMIT = ".commit"
"""A run that is decided and not yet all in its place; see `tfautolabel.runs.commit`."""

DESCRIPTION = f"{MODELS}/{VERSION}/{MODEL_DESCRIPTION}"

DATA = (*PREDICTIONS, REJECTED, CANDIDATES, EVIDENCE, LEARNT)
"""What nobody but a run writes."""

FILES = (*DATA, AUDIT_LIST, REPORT, RECORD)
"""All files of a run that lie directly in its folder."""
