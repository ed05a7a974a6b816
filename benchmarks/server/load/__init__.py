"""The load client of this benchmark: the closed-loop clients of ``serving.load``, cell after cell, in any dialect.

``python -m benchmarks.server.load job.json``. One process; an answer whose bytes were read and found
right before is right again. What it costs is measured with every cell, so that a cell in which the
client was the limit can be told. Neither ``wrk`` nor ``h2load`` can hold every answer against the
request it belongs to; how fast ``wrk`` is beside it, ``make bench-loadgen`` says.
"""
