"""``/v1/models/...`` over HTTP.

============  =================================================================
``front``     what is answered: a bare ASGI application with a short way in
``protocol``  one connection: uvicorn's, and the short way
``verbs``     predict, classify and regress, from JSON to JSON
``path``      what a request's method and path ask for
``body``      the parts of a body, and unpacked
============  =================================================================
"""
