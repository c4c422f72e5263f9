"""Any tracker with an HTTP API, described in YAML instead of code: Freshdesk, Intercom, one made at home."""
