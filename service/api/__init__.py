"""The HTTP API: from the bytes of a request to its parameters, and from results to an answer."""
