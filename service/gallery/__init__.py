"""The sample gallery: real photos that arrive with installed packages, and sentences to search."""
