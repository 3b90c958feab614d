"""The network: encoder, attention, decoder. Imports nothing of `model.decoding`."""
