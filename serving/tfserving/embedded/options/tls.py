"""Encryption of gRPC: the file of ``--ssl_config_file``, or Google's ALTS.

As ``BuildServerCredentials`` in ``model_servers/server.cc``. REST is never encrypted there, and is not
here.
"""

from __future__ import annotations

import logging

import grpc

from serving.tfserving.embedded.options.config_files import make_message, read_text_file
from serving.tfserving.embedded.status import invalid

log = logging.getLogger(__name__)

_FIELDS = (
    ("server_key", 1, "string"),
    ("server_cert", 2, "string"),
    ("custom_ca", 3, "string"),
    ("client_verify", 4, "bool"),
)


def read_server_credentials(path: str, use_alts: bool = False) -> grpc.ServerCredentials | None:
    """What gRPC's port is opened with; None where it is not encrypted.

    Args:
        path: text of an ``SSLConfig`` (``config/ssl_config.proto``): key and certificates as PEM text,
            and whether a client must show a certificate that ``custom_ca`` has signed; empty for none.
        use_alts: whether gRPC asks its Application Layer Transport Security instead, which is there
            only on Google's own machines; elsewhere the port cannot be opened with them.

    Raises:
        StatusError: the file cannot be read, or is no such text; or clients are to be verified, but
            not by whom.
    """
    if use_alts:
        log.info("Using ALTS credentials, which have a meaning only on Google Cloud")
        return grpc.alts_server_credentials()
    if not path:
        return None
    config = make_message("SSLConfig", _FIELDS)
    read_text_file(path, config)
    if config.client_verify and not config.custom_ca:
        raise invalid(f"{path}: client_verify needs custom_ca, the certificates to verify with")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        config.client_verify,
    )
