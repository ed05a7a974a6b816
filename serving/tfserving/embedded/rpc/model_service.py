"""HandleReloadConfigRequest of ModelService: another configuration, while the server runs.

TF Serving's ``model_servers/model_service_impl.cc``.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from serving.tfserving.embedded.metrics import Metrics
from serving.tfserving.embedded.options.configuration import MODEL_CONFIG_LIST
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import ReloadConfigResponse

log = logging.getLogger(__name__)


async def reload_config(core: ServerCore, metrics: Metrics, request: Any) -> Any:
    """The ReloadConfigResponse, when every new model can be asked.

    The server waits no longer than the client does; what was begun goes on.

    Args:
        core: takes the configuration up.
        metrics: of some of them the answer says by how much they have grown.
        request: a ReloadConfigRequest.

    Raises:
        StatusError: the configuration is refused, or a new model cannot be loaded.
    """
    over = threading.Event()
    before = {name: metrics.first_value(name) for name in request.metric_names}
    try:
        if request.config.WhichOneof("config") != MODEL_CONFIG_LIST:
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest."
                " Only ModelConfigList is currently supported"
            )
        await asyncio.to_thread(core.reload, request.config, over.is_set)
    except StatusError as error:
        log.error("ReloadConfig failed: %s", error.message)
        raise
    finally:
        over.set()
    response = ReloadConfigResponse()
    response.status.SetInParent()
    for name, value in before.items():
        response.metric.add(name=name, int64_value_increase=metrics.first_value(name) - value)
    return response
