"""``make bench-server``: the embedded server against its Python peers, on the same SavedModel.

=================  ===========================================================================
``__main__``       the command line
``plan``           how much is measured, and the shared settings of batching
``environments``   an environment for each server, made once
``subject``        what is served; ``make_subjects`` writes it in a process with TensorFlow
``dialects``       how each server is asked and answers; ``open_inference`` is MLServer's gRPC
``contestants``    every server: how it is started, with batching and without
``peers/``         what runs inside the peers' environments
``load/``          the load client, a process of its own
``rounds``         start, ask, weigh, stop, in turn
``limits``         what one process can do without a server, and the embedded server's other goals
``results``        medians, voided figures
``goals``          the embedded server's goals, met or not
``tables``         what is printed
=================  ===========================================================================
"""
