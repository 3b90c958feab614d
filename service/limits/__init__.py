"""Limits: API keys, the rate of each key, and how much work the server accepts."""
