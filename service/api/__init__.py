"""The HTTP API: parses requests into parameters and turns results into responses."""
