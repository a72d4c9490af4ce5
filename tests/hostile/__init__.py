"""Requests that somebody might send to break the service: their answers, and their cost."""
