"""A page to play with: one input, every live answer side by side."""
