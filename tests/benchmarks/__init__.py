"""How fast it is: every figure a ratio of two things measured side by side, by `make bench`."""
