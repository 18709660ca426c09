"""Functions that make datasets: of objects in memory (`objects`), and of files (`files`)."""
