"""Pictures and meshes for people: colours, renderings, figures, files."""
