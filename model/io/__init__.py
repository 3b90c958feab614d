"""Files: lines of text, compression, the cache folder, and the progress of long jobs."""
