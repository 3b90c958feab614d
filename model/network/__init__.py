"""The network: encoder, attention, decoder. It imports nothing from `model.decoding`."""
