"""Fault drills with real containers: what is broken, what the user sees, how long it takes to recover.

``stage.py`` a folder of its own with a running pair and ``command.py`` commands in it, ``asking.py``
clients that judge every answer, ``relay.py`` an engine that can go away, ``leftovers.py`` what is
left; ``at_start.py``, ``crashes.py`` and ``versions.py`` the drills, ``rehearse.py`` all of them;
``facts.py`` what comes of one, ``page.py`` how it is shown.
"""
