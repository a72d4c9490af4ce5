"""Which release this is. What runs in Lambda has no package metadata to look it up in."""

VERSION = "0.1.0"
