"""Runs schemathesis against the whole service on this machine, to check that it answers over real
HTTP as docs/openapi.yaml describes. `make fuzz` runs it for longer."""
