"""What IBM model 1 learns from a corpus: shortlists and word alignments."""
