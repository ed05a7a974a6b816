"""One model in two frameworks: what it is, how it is trained, exported, opened and compared."""
