"""``make fuzz``: what nobody meant, sent to the embedded server in great numbers.

============  ===========================================================================
``plan``      how many inputs, of which targets, in which order, and what is too much
``subject``   a real embedded server with four models, and its good requests
``campaign``  chunk by chunk: make inputs, send them, judge, ask something good
``findings``  what was not as it should be, kept so that it can be sent again
``oracles``   which answers TF Serving might give, too
``inputs``    what is sent: REST bodies, URLs, gRPC messages, files of settings
``lanes``     how it is sent: HTTP, gRPC, or to our parsers in a process of their own
``parsers``   the parsers that take bytes, each with what must hold of it
``guided``    the same parsers under atheris, which looks for inputs that reach new code
``again``     what was found, sent once more
============  ===========================================================================

Inputs come from hypothesis, seeded by run, target and chunk, so that any run can be repeated.
atheris is optional; ``make setup-fuzz`` installs it where it has a wheel. Without it its share goes to
``parsers``, and the run says so.
"""
