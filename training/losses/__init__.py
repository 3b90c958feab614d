"""The losses: from a batch of ids to what an update minimises."""
