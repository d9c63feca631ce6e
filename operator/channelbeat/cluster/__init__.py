"""The operator: BeatSchedules of a Kubernetes cluster, sent by one leader among the replicas."""
