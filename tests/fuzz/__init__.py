"""schemathesis against the whole service, running on this machine: what docs/openapi.yaml says is
held against what is answered over real HTTP. `make fuzz` does it for long."""
