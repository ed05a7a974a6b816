"""``python -m pipelines.report.schema``: the JSON Schema of ``report.json``, for ``docs/report.schema.json``."""

from __future__ import annotations

import json
import sys

from pipelines.facts import RunReport


def report_schema() -> str:
    """JSON Schema 2020-12 of ``report.json``, indented, with a newline at the end."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RunReport.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(report_schema())
