"""Who is told when a source's state turns bad, and when it is well again: by mail, Slack, a webhook … docs/monitoring.md explains it."""
