"""Plots: pictures of a search as figures of matplotlib, and a page of them."""
