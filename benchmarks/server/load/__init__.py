"""The load client: closed-loop clients over HTTP/1.1 and HTTP/2, lean enough not to be the bottleneck.

``python -m benchmarks.server.load job.json``. One process on uvloop; a request is a ready block of
bytes, an answer whose bytes were read and found right before is right again. What it costs is
measured with every cell, so that a cell in which the client was the limit can be told.
Neither ``wrk`` nor ``h2load`` can hold every answer against the request it belongs to.
"""
