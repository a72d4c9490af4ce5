"""The shell script that deploys a package, with everything that a template cannot say.

An updated stack keeps its parameters even if the template's defaults have changed, and a template
contains neither tags nor protection. So the script sets them all each time.
https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/
"""

import shlex
from collections.abc import Mapping

from batchback_ops import project

#: The script's file, next to the zip and the template.
NAME = "deploy.sh"
_SCRIPT = """\
#!/bin/sh
# Creates or updates the stage's stack from the files next to this one: `sh deploy.sh BUCKET`, with
# the AWS CLI and a bucket in the stage's region. It is safe to repeat.
set -eu
bucket=${{1:?name a bucket in the region of the stage}}
export AWS_PAGER=
CDPATH= cd -- "$(dirname -- "$0")"
aws cloudformation package --template-file sam.json --use-json \\
    --s3-bucket "$bucket" --s3-prefix {stack} --output-template-file deploy.json
aws cloudformation deploy --template-file deploy.json \\
    --s3-bucket "$bucket" --s3-prefix {stack} \\
    --stack-name {stack} --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \\
    --parameter-overrides{parameters}{tags}
aws cloudformation update-termination-protection --stack-name {stack} \\
    {protection}
"""
_NEXT_LINE = " \\\n    "


def script(stage: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """The script, for a POSIX shell. `parameters` must be all of the template's."""
    is_protected = parameters["DeletionProtection"] == "true"
    return _SCRIPT.format(
        stack=shlex.quote(project.stack_name(stage)),
        parameters=_pairs(parameters),
        tags=f"{_NEXT_LINE}--tags{_pairs(tags)}" if tags else "",
        protection=f"--{'' if is_protected else 'no-'}enable-termination-protection",
    )


def _pairs(values: Mapping[str, str]) -> str:
    return "".join(_NEXT_LINE + shlex.quote(f"{name}={value}") for name, value in values.items())
