"""The HTTP front end: checks a request, puts it on the queue, and tells what became of it.

::

    gate ─────── api_keys       who is let in, before anything is read
    routes ──┬── access         who asks, and what they may
             ├── submission     a request becomes a task: model, image, defaults
             │      ├── catalogue     what the engines say they hold
             │      └── images        uploads become checked pixels
             ├── job_queue      the only module that touches RQ
             ├── job_state      what a job is, derived from what Redis holds
             ├── cancellation   giving a job up
             ├── waiting        following a job's events
             ├── durability     whether Redis keeps what is promised
             └── verification   a certificate's claim, computed again
"""
