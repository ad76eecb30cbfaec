"""Queries in the documents' language: from files, from translation models."""
