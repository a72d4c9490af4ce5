"""The commands of whoever deploys the service, one module each.

Every module has `add_arguments(parser)` and `run(options, shell)`, which returns the exit status
and raises CannotGoOn with one sentence where the operator has to do something first. They reach
AWS through `stage`, and import nothing slow before they run.
"""
