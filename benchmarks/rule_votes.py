"""How fast rules vote on texts from a Parquet file, and how memory grows with their number.

The rules are 20 regular expressions for reviews (rules/uci.csv), the texts sentences of the set uci, each
with its number behind. Each size runs in a process of its own: `check_rules` on all rows for the memory, then
turns of our votes with one thread and with two, and of the peer, on the same rows.

Peer: `[[bool(pattern.search(text)) for pattern in compiled] for text in texts]` with Python's `re`, in one
thread, on texts that are in memory; ours reads them from the file.

    python benchmarks/rule_votes.py [--rows 100000 1000000] [--timed 50000] [--rounds 3]
"""

from __future__ import annotations

import csv
import json
import re
import resource
import statistics
import sys
import time
from pathlib import Path

from recording import Report, options, run_worker
from text_sets import text_set

RULES = Path(__file__).with_name("rules") / "uci.csv"


def write_texts(file: Path, source: Path, rows: int) -> None:
    """Sentences in turn, no two rows alike, written group by group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with pq.ParquetWriter(partial, pa.schema([("text", pa.string())])) as writer:
        for start in range(0, rows, 50_000):
            numbers = range(start, min(start + 50_000, rows))
            writer.write_table(
                pa.table({"text": [f"{texts[number % len(texts)]} {number}" for number in numbers]})
            )
    partial.rename(file)


def measure(file: Path, timed: int, rounds: int) -> dict[str, object]:
    """Peak memory of a check of all rows, and rates on the first ones; runs in a process of its own."""
    from tfautolabel import load_dataset, read_rules
    from tfautolabel.jobs.rules_check import check_rules
    from tfautolabel.rules.apply import cast_votes
    from tfautolabel.runs.settings import RunSettings

    rules = read_rules(RULES)
    start = time.perf_counter()
    found = check_rules(rules, file, settings=RunSettings(input_column="text"), progress=False)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    done = {"seconds": seconds, "peak": peak, "covered": found.covered / found.examples}
    if not timed:
        return done
    pool = load_dataset(file, None, input_column="text").subset(range(timed))
    texts = [value.decode() for value in pool.read(range(timed))]
    compiled = [re.compile(rule.line.pattern, re.IGNORECASE) for rule in rules]
    rates: dict[str, list[float]] = {"re": [], "one": [], "two": []}
    for _ in range(rounds):
        start = time.perf_counter()
        bare = [[bool(pattern.search(text)) for pattern in compiled] for text in texts]
        rates["re"].append(timed / (time.perf_counter() - start))
        for name, threads in (("one", 1), ("two", 2)):
            start = time.perf_counter()
            votes = cast_votes(rules, pool, progress=False, threads=threads)
            rates[name].append(timed / (time.perf_counter() - start))
            if ((votes.matrix >= 0) != bare).any():
                sys.exit("the votes differ from what re finds")
    return done | {name: statistics.median(some) for name, some in rates.items()}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[100_000, 1_000_000])
    parser.add_argument(
        "--timed", type=int, default=50_000, help="rows on which rates are compared (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", nargs=3, help="for this script itself")
    arguments = parser.parse_args()
    if arguments.worker:
        file, timed, rounds = arguments.worker
        print(json.dumps(measure(Path(file), int(timed), int(rounds))))
        return
    del arguments.worker
    report = Report("rule_votes", arguments)
    found = []
    for rows in arguments.rows:
        file = arguments.data / f"reviews-{rows}.parquet"
        if not file.exists():
            write_texts(file, text_set(arguments.data, "uci"), rows)
        timed = min(arguments.timed, rows) if rows == arguments.rows[0] else 0
        found.append(run_worker([__file__, "--worker", str(file), str(timed), str(arguments.rounds)]))
    small, large = found
    usual = arguments.rows == [100_000, 1_000_000]
    report.add(
        f"{arguments.rows[1]:,} texts, 20 rules",
        f"peak memory, as a multiple of that for {arguments.rows[0]:,}",
        large["peak"] / small["peak"],
        "<= 1.2" if usual else None,
        result=f"{large['peak']:.2f} GB, {large['seconds']:.0f} s",
        peer=f"{arguments.rows[0]:,} texts: {small['peak']:.2f} GB, {small['seconds']:.0f} s",
        ratio=f"{large['peak'] / small['peak']:.3f}",
        covered=large["covered"],
    )
    for name, threads, bar in (("one", "one thread", ">= 0.8"), ("two", "two threads", ">= 1.5")):
        report.add(
            f"votes with {threads}",
            "texts a second, as a multiple of a bare loop over compiled patterns",
            small[name] / small["re"],
            bar if usual else None,
            result=f"{small[name]:,.0f} texts/s",
            peer=f"re: {small['re']:,.0f} texts/s",
            ratio=f"{small[name] / small['re']:.2f}",
        )
    report.save()


if __name__ == "__main__":
    main()
