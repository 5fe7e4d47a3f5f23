"""What a worker uses of RQ beyond its documented interface, in one room (RQ 2.12, pinned in pyproject.toml).

RQ keeps the queue, forks a process for each job and enforces its timeout. That is not enough for one answer
per job and for recovery within half a minute, so:

==============  ==========================================================================================
queue_worker    overrides four methods of ``Worker``: no maintenance, outages are survived in mid-job
allowed_job     overrides seven members of ``Job``: two tasks, no callbacks, unreadable records are no jobs
attempt         decides in the fork whether RQ tries again; leaves without RQ's record if it is superseded
reaper          replaces RQ's maintenance: reads and writes RQ's lists, registries and execution records
==============  ==========================================================================================

`service.jobs.queue` is the API's side. ``tests/workers/process/rq/test_private_names.py`` has a test for each
name, key and behaviour that RQ does not document, so that an upgrade fails there first.
"""
