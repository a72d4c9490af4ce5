"""What operators run from a checkout: a folder for each command, and what the folders share.

    keys/        who may call, and what callbacks are signed with
    ops/         the batches of a stage, and the dead letters
    doctor/      check a stage and suggest fixes; reads resources/ and policies/ for that
    resources/   a stage's CloudFormation stack, and the errors of its API Gateway
    package/     what a pipeline deploys
    policies/    what each function may do
    console.py   what the commands share on the command line
    stage.py     a stage in AWS, and what AWS says in one sentence
    aws_failures.py  why AWS was not asked, or did not answer
    project.py   the checkout: template, policies, configuration
    errors.py    what stops a command
    gateway_responses.py    the errors that API Gateway answers itself

`command.py` of each folder says what is typed: options, help, tables. It is small and imports the
rest of its folder when the command runs, because `batchback --help` loads all of them.
"""
