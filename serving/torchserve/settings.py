"""The two files that TorchServe is configured by: ``config.properties`` and ``log4j2.xml``.

Every setting is described in TorchServe's docs/configuration.md; those that it leaves out are in
its ConfigManager.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RESPONSE_SECONDS = 60
STARTUP_SECONDS = 120
LARGEST_MESSAGE_BYTES = 64 * 2**20

LOG_FORM = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- What happens once is logged; what happens at every request is not (TorchServe's own settings
     write nine lines for each). Everything goes to the server's log; what the workers say, and what
     is said about them, is in model.log too, which starts empty at every start. -->
<Configuration status="error" shutdownHook="disable">
  <Appenders>
    <Console name="console" target="SYSTEM_OUT">
      <RegexFilter regex=".*Backend received inference at.*" onMatch="DENY" onMismatch="NEUTRAL"/>
      <PatternLayout pattern="{pattern}"/>
    </Console>
    <File name="model" fileName="${{env:LOG_LOCATION}}/model.log" append="false">
      <RegexFilter regex=".*Backend received inference at.*" onMatch="DENY" onMismatch="NEUTRAL"/>
      <PatternLayout pattern="{pattern}"/>
    </File>
  </Appenders>
  <Loggers>
    <Logger name="MODEL_LOG" level="info"><AppenderRef ref="model"/></Logger>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Logger name="io.netty" level="error"/>
    <Logger name="org.apache" level="off"/>
    <Logger name="org.pytorch.serve.job" level="warn"/>
    <Logger name="org.pytorch.serve.wlm" level="warn"><AppenderRef ref="model"/></Logger>
    <Root level="info"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
"""
LOG_PATTERN = "%d{ISO8601} [%-5p] %t %c{1} - %m%n"


def server_settings(
    host: str,
    ports: Mapping[str, int],
    archive: Path,
    model_name: str,
    workers: int,
    model_api: bool = False,
) -> dict[str, str]:
    """``config.properties`` as a mapping.

    Token authorisation is on because TorchServe has it so and nothing here says otherwise; the one
    model is loaded at the start.

    Args:
        host: the address that every interface listens on.
        ports: ``rest``, ``management``, ``metrics``, ``grpc``, ``grpc_management``.
        archive: the ``.mar`` to serve; its folder becomes the model store.
        model_name: the name to serve it under.
        workers: Python processes for the model.
        model_api: whether models can be registered and unregistered while it runs, with the
            management token; only archives inside the store.
    """
    return {
        "inference_address": f"http://{host}:{ports['rest']}",
        "management_address": f"http://{host}:{ports['management']}",
        "metrics_address": f"http://{host}:{ports['metrics']}",
        "grpc_inference_address": host,
        "grpc_inference_port": str(ports["grpc"]),
        "grpc_management_address": host,
        "grpc_management_port": str(ports["grpc_management"]),
        "model_store": str(archive.parent),
        "load_models": f"{model_name}={archive.name}",
        "allowed_urls": _only_below(archive.parent),
        "default_workers_per_model": str(workers),
        "default_response_timeout": str(RESPONSE_SECONDS),
        "default_startup_timeout": str(STARTUP_SECONDS),
        "max_request_size": str(LARGEST_MESSAGE_BYTES),
        "max_response_size": str(LARGEST_MESSAGE_BYTES),
        "enable_model_api": str(model_api).lower(),
        "install_py_dep_per_model": "false",
        "number_of_gpu": "0",
        "metrics_mode": "prometheus",
        # Once a minute it would start a Python process to weigh the machine; the pipeline measures
        # that.
        "disable_system_metrics": "true",
        # The handler parses the body itself: TorchServe would hide where broken JSON is broken.
        "decode_input_request": "false",
        # Environment variables named TS_... of whoever starts it must not change any of this.
        "enable_envvars_config": "false",
    }


def write_properties(settings: Mapping[str, str], target: Path) -> None:
    """Write Java's properties format, in which backslashes and non-ASCII letters are escaped."""
    lines = [f"{name}={_escaped(value)}" for name, value in settings.items()]
    target.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_log_settings(target: Path) -> None:
    target.write_text(LOG_FORM.format(pattern=LOG_PATTERN))


def _escaped(value: str) -> str:
    # One \uXXXX per UTF-16 unit, as Java reads them.
    doubled = value.replace("\\", "\\\\")
    units = doubled.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def _only_below(store: Path) -> str:
    """A pattern for file URLs inside the store; TorchServe splits the setting at commas."""
    return rf"file://\Q{store}\E/.*".replace(",", r"\E.\Q")
