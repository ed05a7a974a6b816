"""Where the two fronts listen: ports, a UNIX socket, and gRPC's own settings for them."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.status import StatusError, invalid

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_MOST = 2**31


def read_channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    """The pairs of ``--grpc_channel_arguments``; what is a number of 32 bits counts as one.

    As ``parseGrpcChannelArgs`` in ``server.cc``, which reads past the end where there is no ``=``.

    Raises:
        StatusError: INVALID_ARGUMENT, an argument without ``=``.
    """
    return tuple(_read_argument(each) for each in text.split(",")) if text else ()


def bind_grpc(server: Any, flags: Flags, credentials: Any) -> list[str]:
    """Let a gRPC server listen where the flags say.

    Args:
        server: a ``GrpcServer`` that has not been started.
        flags: the command line.
        credentials: of ``grpc.ssl_server_credentials``; None does not encrypt.

    Returns:
        the addresses.

    Raises:
        StatusError: UNAVAILABLE, a port is taken or a path cannot be listened at; INVALID_ARGUMENT, a
            key or certificate cannot be used.
    """
    addresses = []
    if flags.port:
        addresses.append(f"{bracketed(flags.bind_address)}:{flags.port}")
    if flags.grpc_socket_path:
        addresses.append(f"unix:{flags.grpc_socket_path}")
    for address in addresses:
        try:
            if credentials is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, credentials)
        except RuntimeError as error:
            if not address.startswith("unix:"):
                listen(flags.bind_address, flags.port).close()  # says why, which gRPC does not
            if credentials is not None:  # the port is free, so it is the key or a certificate
                raise invalid("Failed to BuildAndStart gRPC server") from error
            raise StatusError(StatusCode.UNAVAILABLE, f"{address}: {error}") from error
    return addresses


def listen(address: str, port: int) -> socket.socket:
    """A socket that is bound to a port.

    Raises:
        StatusError: UNAVAILABLE, with the reason.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise _cannot_listen(address, port, error) from error
    listener.setblocking(False)
    return listener


def bracketed(address: str) -> str:
    """As URLs want it."""
    return f"[{address}]" if ":" in address else address


def _read_argument(text: str) -> tuple[str, int | str]:
    key, has_value, value = text.partition("=")
    if not has_value:
        raise invalid(f"--grpc_channel_arguments: {text} is no key=value")
    value = value.partition("=")[0]
    if _INTEGER.fullmatch(value) and -_MOST <= int(value) < _MOST:
        return key, int(value)
    return key, value


def _cannot_listen(address: str, port: int, error: OSError) -> StatusError:
    why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
    return StatusError(StatusCode.UNAVAILABLE, f"Port {port} on {address} {why}")
