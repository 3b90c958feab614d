"""Corpus jobs: formats, and parts from which a killed job goes on."""
