"""Calls IAM for `iam.rs`. A line in: the operation and its arguments; a line out: the answer, or why there is none."""

import json
import signal
import sys

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

# Ctrl-C is for whoever started this, which removes first what it made.
signal.signal(signal.SIGINT, signal.SIG_IGN)
iam = Session().create_client("iam", region_name=sys.argv[1])
for line in sys.stdin:
    operation, arguments = json.loads(line)
    try:
        said = {"answer": getattr(iam, operation)(**arguments)}
    except ClientError as error:
        said = {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    except BotoCoreError as error:
        said = {"message": str(error)}
    print(json.dumps(said, default=str), flush=True)
