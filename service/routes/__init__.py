"""Routes: what each path of the server answers."""
