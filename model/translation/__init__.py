"""Translation: from a text to requests for the engine, and from hypotheses back to a text."""
