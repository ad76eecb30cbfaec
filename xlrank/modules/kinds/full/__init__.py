"""Full fine-tuning: a change to every parameter, or all of them anew."""
