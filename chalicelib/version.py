"""The version of this release. In Lambda there is no package metadata to read it from."""

VERSION = "0.1.0"
