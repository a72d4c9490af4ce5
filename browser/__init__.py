"""The console in a real browser: Chromium, driven by Playwright, against the local service.

`make browser` runs these tests, and `make screenshots` takes the pictures for the docs."""
