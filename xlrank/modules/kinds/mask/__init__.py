"""Sparse fine-tuning masks (LT-SFT, Ansell et al., ACL 2022): differences to a few entries of a base's parameters."""
