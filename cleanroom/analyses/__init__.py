"""Questions from asking to answer: orchestrates decision, budget, matching and release."""
