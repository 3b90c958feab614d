"""The rules that some sentences are searched by: constraints, penalties, sampling."""
