"""Text: languages, normalisation, sentences, subword pieces, segmentation of long texts."""
