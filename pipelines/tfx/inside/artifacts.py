"""Types of artifacts that TFX has none for."""

from tfx.types.artifact import Artifact


class Span(Artifact):
    """The file of one month."""

    TYPE_NAME = "TwinServeSpan"


class Predictions(Artifact):
    """Labels, both models' probabilities and the columns of slices: one ``.npz``."""

    TYPE_NAME = "TwinServePredictions"


class Version(Artifact):
    """A version of a case that was pushed to both servers."""

    TYPE_NAME = "TwinServeVersion"
