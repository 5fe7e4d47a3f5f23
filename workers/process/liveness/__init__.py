"""How processes learn that another one works, hangs or has ended: every signal, in one table.

============  ========  ==============================  ==================  ==============================
signal        from      where, how often                read by             what follows
============  ========  ==============================  ==================  ==============================
lifeline      a parent  standard input of its child,    the child           its end: the child ends
                        open while the parent lives
status file   engine    ``engine.json`` in the          supervisor          relay gone for too long: kills
                        worker's folder; each                               the engine, starts another
                        heartbeat, and as a job         ``radii             too old: the container is
                        begins and ends                 healthcheck``       started again
heartbeat     engine    Redis; each heartbeat, and      API,                too old: not ready; very old:
                        after a job                     ``radii doctor``    its models are forgotten
connection    relay     socket between the two,         engine, between     its end: the job is abandoned
                        open while the relay waits      two batches
RQ's records  queue     Redis; as a job is taken,       reaper of every     too old: the job is tried
              worker    and while it runs               worker              again
============  ========  ==============================  ==================  ==============================

The first three are in this room; `workers.job.progress` reads the connection, `workers.process.rq.reaper` the
records. How often and how old are settings: `contract.settings.Timing`, `workers.settings.WorkerTiming`.
"""
