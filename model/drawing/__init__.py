"""Pictures of what a network computes, for a terminal and as files."""
