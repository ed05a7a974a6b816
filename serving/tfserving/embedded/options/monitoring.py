"""The file of ``--monitoring_config_file``: whether and where the metrics can be read."""

from __future__ import annotations

from serving.tfserving.embedded.options.config_files import make_messages, read_text_file
from serving.tfserving.embedded.options.flags import Flags

_SCHEMA = {
    "PrometheusConfig": (("enable", 1, "bool"), ("path", 2, "string")),
    "MonitoringConfig": (("prometheus_config", 1, ".tensorflow.serving.PrometheusConfig"),),
}
"""TF Serving's ``config/monitoring_config.proto``, which ``tensorflow-serving-api`` leaves out."""

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def read_metrics_path(flags: Flags) -> str | None:
    """The path under which the REST port shows the metrics.

    Args:
        flags: the command line; where it opens no REST port its file is not read, as there.

    Returns:
        the path; None where the metrics are not to be shown.

    Raises:
        StatusError: the file cannot be read, or its text is no ``MonitoringConfig``.
    """
    if not flags.monitoring_config_file or flags.rest_api_port in (0, flags.port):
        return None
    config = make_messages(_SCHEMA)("MonitoringConfig")
    read_text_file(flags.monitoring_config_file, config)
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None
