"""What the project promises about its own speed and size, measured; never a timed test."""
