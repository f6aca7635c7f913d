"""Privacy budgets: allocated to grants out of every enclosing account, and never overspent."""
