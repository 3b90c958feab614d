"""Public corpora: the sets that the shipped configs name, fetched and made ready for training."""
