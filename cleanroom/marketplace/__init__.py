"""Listings, price plans, requests, entitlements with their grants, usage from receipts, and statements."""
