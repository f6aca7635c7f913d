"""The pure policy engine: questions, rules, decisions, and the arithmetic of privacy budgets."""
