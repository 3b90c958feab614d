"""Translation: from a text to requests to the engine, and back from hypotheses to a text."""
