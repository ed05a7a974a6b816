"""Features as they are served: the flights network, with what its encoder makes of a row among its outputs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import models.cases
from models.cases.flights.columns import MAY_BE_MISSING, NUMBERS, WORDS
from models.constants import features, read_constants
from models.framework import FRAMEWORKS
from models.predictor import predict_in_batches
from pipelines.alone import export_alone, servers_for, train_alone
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace
from serving.endpoints import FRAMEWORK_OF, endpoints_of
from tests.models.cases.test_flights import Flights, spoiled

pytestmark = [pytest.mark.frameworks, pytest.mark.servers, pytest.mark.slow]

ROWS = 10_000
WIDTH = len(NUMBERS) + len(MAY_BE_MISSING)
SHOWN = {
    "case.py": {
        'name="flights"': 'name="shown"',
        """        ),
        labels=""": f"""            TensorSpec("numbers", "float32", ({WIDTH},), "scaled, and which are missing"),
            TensorSpec("columns", "float32", (6,), "places in the vocabularies, hour and day"),
        ),
        labels=""",
    },
    "pytorch.py": {
        "torch.softmax(logits, dim=1)}": """torch.softmax(logits, dim=1),
            "numbers": encoded["numbers"], "columns": columns.to(torch.float32)}""",
    },
    "tensorflow.py": {
        "models.cases.flights.case import": "models.cases.shown.case import",
        "keras.layers.Softmax()(logits)}": """keras.layers.Softmax()(logits),
            "numbers": keras.ops.copy(encoded["numbers"]),
            "columns": keras.ops.cast(encoded["columns"], "float32")}""",
    },
}
"""By file: what is changed in the case, so that its features go out beside its answers."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Iterator[Flights]:
    home = tmp_path_factory.mktemp("shown").resolve()
    case = home / "cases/shown"
    ours = PROJECT / "models/cases/flights"
    shutil.copytree(ours, case, ignore=shutil.ignore_patterns("__pycache__"))
    for file, changes in SHOWN.items():
        text = (case / file).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, (file, old)
            text = text.replace(old, new)
        (case / file).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        # Homes of cases that are made known here are forgotten again.
        patch.setattr(models.cases, "__path__", list(models.cases.__path__))
        settings = Settings(
            artifacts=home / "artifacts", state=state, sample=4000, cases_path=str(case.parent)
        )
        space = Workspace.open("shown", settings, {"epochs": 1, "batch_size": 64})
        data, facts = train_alone(space)
        yield Flights(space, data, facts, export_alone(space))


def test_features_are_the_training_s_on_all_four_endpoints(shown: Flights, tmp_path: Path) -> None:
    """Values that are missing, and words that no vocabulary has, among them."""
    raw = spoiled(shown, ROWS)
    constants = read_constants(Path(shown.data.constants), shown.contract)
    reference = features(constants, raw)
    found = {name: shown.in_memory(name, raw, tmp_path) for name in FRAMEWORKS}
    encoded = {name: each["encoded"] for name, each in found.items()}
    asked = []
    with servers_for(shown.space, shown.manifest) as started:
        for endpoint in [each for server in started.servers for each in endpoints_of(server.spec)]:
            with endpoint.connect(shown.space.case.name, shown.contract) as client:
                served = predict_in_batches(client, raw, 250)
            trained_on = encoded[FRAMEWORK_OF[endpoint.server]]
            for name in ("numbers", "columns"):
                np.testing.assert_array_equal(served[name], trained_on[name], endpoint.title)
            for place, name in enumerate(WORDS):
                np.testing.assert_array_equal(served["columns"][:, place], reference[name])
            answer = found[FRAMEWORK_OF[endpoint.server]]["answer"]["logits"]
            np.testing.assert_allclose(served["logits"], answer, atol=1e-5, err_msg=endpoint.title)
            asked.append(endpoint.title)
    assert len(asked) == 4
    for name in ("numbers", "columns"):
        of_both = [encoded[framework][name] for framework in FRAMEWORKS]
        np.testing.assert_allclose(*of_both, atol=1e-6, err_msg=name)
