"""Scene files and scenes."""
