"""``python docs/figures.py [report.json] [--write]``: the figures of a report as the README's table.

Without a path it reads version 1 of the digits, the report that ``make demo`` writes first. ``--write`` puts the
table into README.md, between the two lines that mark its place.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
REPORT = PROJECT / "artifacts/digits/1/report/report.json"
README = PROJECT / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
FRAMEWORKS = ("tensorflow", "pytorch")


def table(report: dict[str, Any]) -> str:
    """Markdown: one column for each framework and the server that it runs in."""
    trained = {each["framework"]: each for each in report["training"]}
    servers = {each["framework"]: each for each in report["servers"]}
    rows = {
        "server": [servers[name]["label"] for name in FRAMEWORKS],
        "test accuracy": [f"{trained[name]['test_accuracy']:.2%}" for name in FRAMEWORKS],
        "start to first correct answer": [
            f"{servers[name]['ready_seconds']:.1f} s" for name in FRAMEWORKS
        ],
        "memory after load": [
            f"{servers[name]['loaded_bytes'] / 1e6:.0f} MB ({servers[name]['memory_kind']})"
            for name in FRAMEWORKS
        ],
    }
    for protocol in ("REST", "gRPC"):
        labels = [servers[name]["label"] for name in FRAMEWORKS]
        rows[f"{protocol}, p50 / p99 of one client"] = [
            _latency(report, label, protocol) for label in labels
        ]
        rows[f"{protocol}, requests/s of 16 clients"] = [
            _throughput(report, label, protocol) for label in labels
        ]
    titles = [trained[name]["label"] for name in FRAMEWORKS]
    lines = [f"| | {' | '.join(titles)} |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items())])


def caption(report: dict[str, Any]) -> str:
    """The machine, the checks and the day that the figures belong to."""
    machine = report["environment"]["hardware"]
    outcomes = [check["outcome"] for check in report["checks"]]
    return (
        f"Case `{report['case']}`, {outcomes.count('pass')} of {len(outcomes)} checks passed, "
        f"{outcomes.count('shortfall')} fell short, {outcomes.count('fail')} failed. "
        f"{machine['processor']}, {machine['cores']} cores; "
        f"measured {(report['measured'] or 'never')[:10]}."
    )


def _latency(report: dict[str, Any], server: str, protocol: str) -> str:
    for row in report["load"]["scenarios"] if report["load"] else []:
        if (row["server"], row["protocol"], row["scenario"]) == (server, protocol, "SingleStream"):
            known = {each["rank"]: f"{each['ms']:.2f}" for each in row["percentiles"]}
            return "voided" if row["wrong"] else f"{known.get(50, '–')} / {known.get(99, '–')} ms"
    return "not measured"


def _throughput(report: dict[str, Any], server: str, protocol: str) -> str:
    for row in report["load"]["throughput"] if report["load"] else []:
        if (row["server"], row["protocol"], row["clients"]) == (server, protocol, 16):
            return "voided" if row["wrong"] else f"{row['requests_per_second']:,.0f}"
    return "not measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, nargs="?", default=REPORT)
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    arguments = parser.parse_args()
    report = json.loads(arguments.report.read_text())
    text = f"{table(report)}\n\n{caption(report)}"
    if arguments.write:
        before, _, rest = README.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    else:
        print(text)


if __name__ == "__main__":
    main()
