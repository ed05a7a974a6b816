"""``/v1/models/...`` over HTTP.

=========  ========================================
``front``  a bare ASGI application
``path``   what a request's method and path ask for
``body``   the parts of a body, and unpacked
=========  ========================================
"""
