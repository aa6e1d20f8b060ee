"""Complete jobs from input files to output files, with a record of what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfautolabel.jobs.audit import AuditResult, certify_run, draw_audit_list
from tfautolabel.jobs.audit_step import audit
from tfautolabel.jobs.demo import DemoResult, run_demo
from tfautolabel.jobs.run import RunResult, run

if TYPE_CHECKING:
    from tfautolabel.jobs.evaluate import ModelMeasures, measure_model

__all__ = [
    "AuditResult",
    "DemoResult",
    "ModelMeasures",
    "RunResult",
    "audit",
    "certify_run",
    "draw_audit_list",
    "measure_model",
    "run",
    "run_demo",
]


def __getattr__(name: str) -> Any:
    # Importing it loads TensorFlow, which takes seconds; the other jobs check their input first.
    if name in ("ModelMeasures", "measure_model"):
        from tfautolabel.jobs import evaluate

        return getattr(evaluate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
