"""The one gate for figures about people: budget, noise, suppression, stored answers, receipts."""
