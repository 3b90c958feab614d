"""Dragoman's model library: text in, text out. Imports nothing of `training` or `service`."""
