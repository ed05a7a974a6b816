"""The cases. Bring your own by adding a folder here, or anywhere that CASES_PATH names."""
