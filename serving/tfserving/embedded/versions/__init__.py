"""Which versions of which models are there, and how they come and go.

===============  ====================================================================
``base_path``    the folder of versions, and which of them are to be served
``folders``      looks into all of them every so often
``policy``       what to do next with the versions of a model: load, unload, nothing
``manager``      does it, for all models: rolls from one version to the next and back
``models``       the versions that can be asked, by label too, and the states of all
``loading``      one version, loaded and counted
``preparation``  what happens between loading and offering a version
``warmup``       recorded requests, answered before others
===============  ====================================================================
"""
