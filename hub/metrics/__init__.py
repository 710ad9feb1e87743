"""What Prometheus is told: of the sources, by what lies on the shared volume, and of the hub itself. docs/monitoring.md lists it."""
