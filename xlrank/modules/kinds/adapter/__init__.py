"""Bottleneck adapters with or without an invertible adapter (MAD-X): settings, layers, arithmetic."""
