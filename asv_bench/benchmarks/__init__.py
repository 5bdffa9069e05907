"""How fast the loops are beside NumPy. Lower is better everywhere: a ratio is ours over the baseline's."""
