"""The HTTP front end: checks a request, puts it on the queue, and tells what became of it.

::

    connections                 how long a connection may idle, how large its headers may be
    gate ─────── api_keys       who is let in, before anything is read
    guards ──── rate_limits     how often one caller may ask, how long its body may take
    routes ──┬── access         who asks, and what they may
             ├── submission     a request becomes a task: model, image, defaults
             │      ├── catalogue     what the engines say they hold
             │      ├── images        uploads become checked pixels
             │      ├── idempotency   the client's own name for its request
             │      └── admission     onto the queue, in one step, if there is a place
             ├── jobs.queue     the only module that knows RQ
             ├── job_state      what a job is, derived from what Redis holds
             ├── cancellation   giving a job up
             ├── waiting        following a job's events
             ├── durability     whether Redis keeps what is promised
             └── verification   a certificate's claim, computed again
"""
