"""MLServer: a custom runtime, as https://mlserver.readthedocs.io/en/latest/user-guide/custom.html."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Served(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        from saved import Saved  # noqa: PLC0415  # after MLServer is configured

        self.saved = Saved()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        outputs = self.saved.call(np.asarray(rows, np.float32))
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, each) for name, each in outputs.items()],
        )
