"""A stage's CloudFormation stack, made from .chalice/resources.json."""
