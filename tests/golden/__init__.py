"""Parity with the original libraries: ``python -m tests.golden FOLDER`` runs every case of a folder."""
