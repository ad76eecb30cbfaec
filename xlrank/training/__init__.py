"""Training: language modules by masked language modelling, ranking modules on relevance data."""
