"""TF Serving's API: what to run, where its models lie, and how to ask it."""
