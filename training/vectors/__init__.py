"""A training on sequences of vectors: data, batches, loss, evaluation and session."""
