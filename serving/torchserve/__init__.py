"""TorchServe: what it serves, how it is started, and how it is spoken to."""
