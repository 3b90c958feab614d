"""Files: lines of text, compression, the folder for caches, the progress of long jobs."""
