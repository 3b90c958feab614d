"""Text: lines, subword pieces, segmentation of long lines."""
