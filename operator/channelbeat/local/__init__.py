"""No cluster: files, processes, an embedded Redis, a console."""
