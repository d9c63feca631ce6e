"""The Django project whose workers are measured: consumers that do nothing, under stock `runworker` and under ours."""
