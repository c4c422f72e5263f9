"""Real servers for tests and benchmarks: started, killed and started again, on 127.0.0.1 only.

Each is a context manager, so that it serves outside pytest too; `python -m tests.servers -- COMMAND` runs a
command beside a PostgreSQL and a Redis of its own.
"""

from tests.servers.browser import find_browser, launch_browser
from tests.servers.dovecot import Dovecot, dovecot_server
from tests.servers.hub import hub_environment, hub_listen, hub_web, hub_worker
from tests.servers.postgres import PostgresServer, postgres_server
from tests.servers.process import Process, free_port, wait_until
from tests.servers.proxy import Proxy, proxy_before
from tests.servers.redis import RedisServer, redis_server
from tests.servers.unavailable import Unavailable

__all__ = [
    "Dovecot",
    "PostgresServer",
    "Process",
    "Proxy",
    "RedisServer",
    "Unavailable",
    "dovecot_server",
    "find_browser",
    "free_port",
    "hub_environment",
    "hub_listen",
    "hub_web",
    "hub_worker",
    "launch_browser",
    "postgres_server",
    "proxy_before",
    "redis_server",
    "wait_until",
]
