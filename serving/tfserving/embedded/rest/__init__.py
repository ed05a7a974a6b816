"""``/v1/models/...`` over HTTP.

==============  ===================================================================================
``front``       what is answered: a bare ASGI application with a short way in
``connection``  one connection: uvicorn's, with bounds, and for clients that have closed their side
``protocol``    the short way on it
``verbs``       predict, classify and regress, from JSON to JSON
``path``        what a request's method and path ask for
``body``        the parts of a body, and unpacked
==============  ===================================================================================
"""
