"""The demo: `python -m training.demo` makes a corpus, trains on it and shows the model."""
