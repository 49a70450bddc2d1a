"""How fast everything is, as ratios that were measured side by side: ``make bench``."""
