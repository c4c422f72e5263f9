"""The hub: the database, the flow, the API, the pages, the worker and the command line."""

__version__ = "0.1.0"
