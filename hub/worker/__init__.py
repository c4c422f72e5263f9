"""Background work: the jobs, and two ways to run them, threads of one process or Celery workers."""
