"""The file of ``--monitoring_config_file``: whether and where the metrics can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from serving.tfserving.embedded.status import invalid, not_found

DEFAULT_PATH = "/monitoring/prometheus/metrics"


def read_metrics_path(config_file: str) -> str | None:
    """The path under which the REST port shows the metrics.

    Args:
        config_file: text of a ``MonitoringConfig``; empty for none.

    Returns:
        the path; None where the metrics are not to be shown.

    Raises:
        StatusError: the file is missing, or its text is no ``MonitoringConfig``.
    """
    if not config_file:
        return None
    config = _monitoring_config()
    try:
        text_format.Parse(Path(config_file).read_text(), config)
    except OSError as error:
        raise not_found(f"{config_file}: {error.strerror}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid(f"Invalid protobuf file: '{config_file}': {error}") from error
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


def _monitoring_config() -> Any:
    """An empty message of TF Serving's ``config/monitoring_config.proto``.

    ``tensorflow-serving-api`` leaves this one out, so its names and numbers stand here.
    """
    file = FileDescriptorProto(
        name="monitoring_config.proto", package="tensorflow.serving", syntax="proto3"
    )
    prometheus = file.message_type.add(name="PrometheusConfig")
    _add_field(prometheus, "enable", 1, FieldDescriptorProto.TYPE_BOOL)
    _add_field(prometheus, "path", 2, FieldDescriptorProto.TYPE_STRING)
    monitoring = file.message_type.add(name="MonitoringConfig")
    field = _add_field(monitoring, "prometheus_config", 1, FieldDescriptorProto.TYPE_MESSAGE)
    field.type_name = ".tensorflow.serving.PrometheusConfig"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.MonitoringConfig"))()


def _add_field(message: Any, name: str, number: int, kind: Any) -> Any:
    return message.field.add(
        name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL
    )
