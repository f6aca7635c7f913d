"""Who may be counted for a purpose at an instant: baseline consents, withdrawals, epochs."""
