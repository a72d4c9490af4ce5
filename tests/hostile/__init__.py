"""Requests that somebody might send to break the service: what is answered, and what it costs."""
