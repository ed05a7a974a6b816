"""Servers: what to run, where to run it, how to ask it, and how to load it."""
