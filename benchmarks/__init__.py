"""Measurements: tables with ratios against a named peer in the same run (``make bench``, ``python -m benchmarks NAME``)."""
