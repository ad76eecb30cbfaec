"""Heads: relevance from the encoder's output, and masked language modelling."""
