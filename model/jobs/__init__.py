"""Corpus jobs: file formats, and parts from which a killed job resumes."""
