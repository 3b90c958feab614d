"""Rules that only some sentences are searched by: constraints, penalties, sampling."""
