"""The process shell round the computation: RQ tasks, relay, engine, commit.

One worker is three processes::

    supervisor ──┬── engine         the only one that imports torch; keeps models resident
                 └── queue worker   a stock RQ Worker; forks a relay per job
                        └── relay   hands the job to the engine over a Unix socket and waits
"""
