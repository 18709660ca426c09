"""Results: the outcomes of trials, as users ask for them."""
