"""``python -m serving.load job.json``: do a load job and print what is seen, one JSON object a line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from models.case import load_case
from models.errors import TwinServeError
from models.parent import end_with_parent
from serving.load.job import LoadJob
from serving.load.loaded import LoadedEndpoint
from serving.load.schedule import Schedule


def do(job: LoadJob, tell: Any) -> None:
    """All of a job.

    Args:
        job: the endpoints and the plan.
        tell: is told of every step that is done, as JSON's objects.
    """
    case = load_case(job.case, [Path(folder) for folder in job.cases_path])
    endpoints = [
        LoadedEndpoint(target, case.name, case.contract, case.tolerances.float32)
        for target in job.targets
    ]
    Schedule(endpoints, job.plan, job.folder, tell).run()


def main() -> int:
    """Do a job; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m serving.load", description=__doc__)
    parser.add_argument("job", type=Path, help="written by serving.load.job.LoadJob.write")
    job = LoadJob.read(parser.parse_args().job)
    end_with_parent()
    np.seterr(all="ignore")  # a wrong answer may hold anything
    try:
        do(job, lambda step: print(json.dumps(step), flush=True))
    except TwinServeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
