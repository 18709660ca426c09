"""Quality of Tune's schedulers: what they find within a budget, beside references that get the same configs."""
