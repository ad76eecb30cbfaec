"""Tests of xlrank.evaluation."""
