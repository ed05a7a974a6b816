"""One application per peer: what a user of that server would write to serve a SavedModel.

Each runs in its peer's own environment, which has neither our packages nor those of the other
peers: with this folder on the path, and with these environment variables.

``BENCH_MODEL``: the SavedModel's folder. ``BENCH_NAME``: the model's name. ``BENCH_PORT`` and
``BENCH_GRPC_PORT``: on 127.0.0.1. ``BENCH_BATCH``: most rows in a batch, 1 where requests are not
batched. ``BENCH_WAIT_MS``: longest wait of a batch for more.
"""
