"""Tests of Train: training functions in several workers."""
