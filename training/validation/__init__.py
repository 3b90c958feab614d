"""Validation: how good the network is on the dev set, and which checkpoint is best."""
