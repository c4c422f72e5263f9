"""Any ticket tracker with a REST API, described in YAML."""
