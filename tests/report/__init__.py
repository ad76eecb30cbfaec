"""Tests of xlrank.report."""
