"""Other schedulers' configuration -> manifests: one file a source, pure."""
