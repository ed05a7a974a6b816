"""The stages from data to report, and the Prefect flow that wires them."""
