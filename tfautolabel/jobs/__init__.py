"""Whole jobs: from files to files, with a record of what was done."""

from tfautolabel.jobs.demo import DemoResult, run_demo
from tfautolabel.jobs.run import RunResult, run

__all__ = ["DemoResult", "RunResult", "run", "run_demo"]
