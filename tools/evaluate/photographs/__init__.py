"""`python -m tools.evaluate.photographs`: people and horses in ordinary photographs, domain by domain, with peers."""
