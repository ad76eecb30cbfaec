"""Queries in the documents' language: from files, from translation models, or word by word from the encoder itself."""
