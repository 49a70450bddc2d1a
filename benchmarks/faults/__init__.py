"""A campaign of faults against the running node, over real DDS: seeded and bounded."""
