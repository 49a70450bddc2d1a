"""Metrics, evaluation, rows and summary tables."""
