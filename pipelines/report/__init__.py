"""The report of a run: ``index.html`` for people, ``report.json`` for programs, a table in the terminal."""

from __future__ import annotations

from pipelines.report.writing import write_report

__all__ = ["write_report"]
