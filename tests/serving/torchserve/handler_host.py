"""Runs the handler of an unpacked archive as TorchServe's worker does; a process of its own.

Usage: python handler_host.py <folder>. Reads a line of JSON per batch from standard input: a list of
requests, each part name -> base64. Writes a line per batch: a list of [status, body], or the error.
"""

import base64
import json
import sys
from pathlib import Path

from ts.context import Context, RequestProcessor
from ts.model_loader import TsModelLoader
from ts.utils.util import PredictionException


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    manifest = json.loads((Path(folder) / "MAR-INF" / "MANIFEST.json").read_text())
    module, _ = TsModelLoader()._load_handler_file(manifest["model"]["handler"])
    handle, initialize = TsModelLoader()._get_class_entry_point(module)
    context = Context("model", folder, manifest, 4, None, "0.12.0")
    initialize(context)
    for line in sys.stdin:
        batch = [
            {name: base64.b64decode(part) for name, part in request.items()}
            for request in json.loads(line)
        ]
        print(json.dumps(answer(handle, context, batch)), flush=True)


def answer(handle, context, batch):
    context.request_processor = [RequestProcessor({}) for _ in batch]
    try:
        bodies = handle(batch, context)
    except PredictionException as error:
        return {"status": error.error_code, "message": error.message}
    statuses = [context.get_response_status(index)[0] for index in range(len(batch))]
    encoded = [base64.b64encode(body).decode() for body in bodies]
    return list(zip(statuses, encoded, strict=True))


if __name__ == "__main__":
    main(sys.argv[1])
