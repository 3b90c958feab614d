"""Shortlists and word alignments that IBM model 1 learns from a corpus."""
