"""What goes wrong in the command line and the client.

```
RadiiError
├── ClientError                 raised by `radii.Client`; `problem` is what the server sent, or None
│   ├── InvalidRequest          refused before anything was sent: a field, an image or an address
│   │   └── UnusableKey         radii.own_key
│   ├── ServerRefused           the server answered with an error
│   ├── ServerUnavailable       no server answers, or not one of this version
│   └── JobFailed               the job failed, was cancelled or expired; `job` is its last state
└── CommandError                ends a command; the message is for people
    ├── DataDirectoryInUse      radii.embedded
    └── StackFailure            radii.stack
```
"""

from contract.jobs import Job
from contract.problems import Problem


class RadiiError(Exception):
    """The root of all errors of this package; the command line prints the message and exits with 1."""


class CommandError(RadiiError):
    """A command cannot go on."""


class ClientError(RadiiError):
    """A request has no answer.

    Attributes:
        problem: The server's problem details (RFC 9457), or None.
    """

    def __init__(self, message: str, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class InvalidRequest(ClientError):
    """Nothing was sent, because the server would refuse it."""


class ServerRefused(ClientError):
    """The server answered with an error."""


class ServerUnavailable(ClientError):
    """No server answers, or its answer is not understood."""


class JobFailed(ClientError):
    """A job has no answer: it failed, was cancelled or expired.

    Attributes:
        job: Its last state.
    """

    def __init__(self, message: str, job: Job) -> None:
        super().__init__(message, job.error)
        self.job = job
