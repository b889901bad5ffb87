"""For all suites: a private stack, an HTTP client, step tables, a load generator."""
