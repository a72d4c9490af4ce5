"""What operators run from a checkout: a room for each command, and what the rooms share.

    keys/        who may call, and what callbacks are signed with
    ops/         the batches of a stage, and the dead letters
    doctor/      check a stage and suggest fixes; looks into resources/ and policies/ for that
    resources/   a stage's CloudFormation stack
    package/     what a pipeline deploys
    policies/    what each function may do
    stage.py     a stage in AWS, and what AWS says in one sentence
    project.py   the checkout: template, policies, configuration

`command.py` of each room has `add_arguments(parser)` and `run(options, shell)`, which returns the
exit status and raises CannotGoOn with one sentence if the operator has to do something first.
Commands reach AWS through `stage`, and import nothing slow before they run.
"""
