"""Prints the code block behind `<!-- runs in CI: NAME -->` in README.md: CI runs what readers run."""

import pathlib
import re
import sys

text = pathlib.Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- runs in CI: {re.escape(sys.argv[1])} -->\n```\w+\n(.*?)```", text, re.DOTALL)
if found is None:
    sys.exit(f"README.md has no block marked {sys.argv[1]!r}")
sys.stdout.write(found.group(1))
