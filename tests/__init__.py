"""The tests, one file for each of the package's."""
