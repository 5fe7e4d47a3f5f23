"""The HTTP front end: checks requests, enqueues jobs, and reports what became of them.

A room imports from its own and from those below it::

    app             the application
    routes          the paths
    resources       connections and limits that the requests of one process share
    jobs            submission, idempotency, the queue, a job's state, waiting, cancellation
    verification    recomputes a certificate's claim
    openapi         the document, adjusted for client generators
    page            the web page's files
    edge            callers and keys, rate limits, limits on size and time, uploads, headers, request log
    settings, problems, field_messages, metrics, tracing, shutdown
"""
