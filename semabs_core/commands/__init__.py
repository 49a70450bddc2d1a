"""The commands of ``semabs`` by their job; :mod:`semabs_core.cli` gathers them."""
