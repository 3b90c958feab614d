"""A training from two files: the dev set and every setting are found, and written as a config."""
