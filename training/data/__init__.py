"""The data of a training run: from files of any format to batches of ids."""
