"""The commands that operators run from a checkout: a folder per command, and what they share.

    keys/        who may call, and the secrets that sign callbacks
    ops/         the batches of a stage, and its dead messages
    doctor/      checks a stage and suggests fixes; uses resources/ and policies/
    resources/   a stage's CloudFormation stack, and the errors of its API Gateway
    package/     what a pipeline deploys
    policies/    what each function may do
    command_line.py  what the commands share on the command line
    stage.py     a stage in AWS, with AWS's errors explained
    aws_failures.py  why AWS refused a call, or did not answer
    project.py   the checkout: template, policies, configuration
    errors.py    the error that stops a command
    gateway_responses.py    the errors that API Gateway answers itself

The `command.py` of each folder defines its options, help and tables. It is small and imports the
rest of its folder only when the command runs, because `batchback --help` loads every `command.py`.
"""
