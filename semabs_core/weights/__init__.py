"""Weights: those in this package, and the published ones by their public address."""
