"""Writes one HTML file about a run: what came out, how sure that is, and what to do next."""

from __future__ import annotations

from tfautolabel.report.evaluation_report import write_evaluation_report
from tfautolabel.report.originals import Originals
from tfautolabel.report.run_report import render_report, write_report

__all__ = ["Originals", "render_report", "write_evaluation_report", "write_report"]
