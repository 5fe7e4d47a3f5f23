"""The process shell round the computation: RQ tasks, relay, engine, commit.

One worker is three processes, and a fourth for each job::

    supervisor ──┬── engine         the only one that imports torch; keeps models loaded
                 └── queue worker   an RQ worker with our own maintenance (`workers.process.rq`)
                        └── relay   a fork for one job: hands it to the engine over a Unix socket and waits

How each learns that another works, hangs or has ended: `workers.process.liveness`.
"""
