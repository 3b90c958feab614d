"""Corpus jobs: formats, shards, and parts from which a killed job goes on."""
