"""Load: closed-loop clients, what they saw, and its statistics.

A closed-loop client sends its next request when it has the answer to the last one. Every answer is checked.
"""
