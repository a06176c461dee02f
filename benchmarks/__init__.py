"""One script per claim; results are committed under ``results/``."""
