"""Parts of the TensorFlow package without the whole of it.

``import tensorflow.core.framework.tensor_pb2`` runs ``tensorflow/__init__.py`` first, which loads
everything: 8 s and 3,600 modules where the messages need 0.1 s and the session 1.5 s (TensorFlow
2.21, two cores). Here an empty package with the same search path stands in for it, so that a
submodule is found and the initialisation is not run.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from models.errors import ServerMissing

_PACKAGE = "tensorflow"


def stand_in_for_tensorflow() -> None:
    """Put the empty package in place for good, in a process that never needs TensorFlow as a whole.

    Does nothing where TensorFlow was imported already.

    Raises:
        ServerMissing: TensorFlow is not installed.
    """
    if _PACKAGE not in sys.modules:
        sys.modules[_PACKAGE] = _empty_package()


@contextmanager
def parts_of_tensorflow() -> Iterator[None]:
    """Inside the block, submodules of TensorFlow import alone; afterwards no trace is left.

    A later ``import tensorflow`` in the same process loads the real one: protobuf gives its message
    classes out once per descriptor, so that both see the same classes.

    Raises:
        ServerMissing: TensorFlow is not installed.
    """
    if _PACKAGE in sys.modules:
        yield
        return
    stand_in_for_tensorflow()
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]


def _empty_package() -> ModuleType:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ServerMissing(
            "TensorFlow is not installed, and TF Serving's messages need it.", "Run `make setup`."
        )
    package = ModuleType(_PACKAGE, "Stands in for TensorFlow; see lean_tensorflow.py.")
    package.__path__ = list(spec.submodule_search_locations)
    return package
