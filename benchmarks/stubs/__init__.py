"""Stubs that answer immediately, in processes of their own: their CPU does not count as ours."""
