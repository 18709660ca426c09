"""The dataset: a lazy plan with methods that extend it and methods that run it, a module for each group of methods."""
