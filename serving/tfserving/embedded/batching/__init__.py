"""Requests of one version and signature put together, so that the session runs less often.

=============  =========================================================
``batcher``    what a Servable asks: one call in, its own rows out
``queue``      the batches of one signature that wait for a thread
``scheduler``  the threads that run batches, and whose turn it is
``batch``      the rows of a batch: put together, filled up, taken apart
=============  =========================================================
"""
