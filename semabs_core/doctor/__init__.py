"""Why nothing comes out: checks of what people get wrong, each with its remedy."""
