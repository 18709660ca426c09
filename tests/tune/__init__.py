"""Tests of Tune."""
