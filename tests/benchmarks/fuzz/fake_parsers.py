"""In place of ``benchmarks.fuzz.parsers``: does what it is told."""

import os
import sys
import time

print("ready", flush=True)
while line := sys.stdin.buffer.readline():
    content = sys.stdin.buffer.read(int(line.split()[1]))
    if content == b"die":
        os.abort()
    if content == b"hang":
        time.sleep(60)
    print('["wrong", "KeyError"]' if content == b"raise" else '["fine", ""]', flush=True)
