"""Semantic Abstraction without ROS: relevancy, completion and localization (arXiv 2207.11514)."""

__version__ = "0.1.0"
