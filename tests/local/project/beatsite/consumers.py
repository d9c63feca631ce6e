import os
import subprocess
import sys

from channels.consumer import SyncConsumer


class Printing(SyncConsumer):
    def say(self, message):
        print("handled", message["text"], message["beat"]["run"])

    def environment(self, message):
        print("environment", os.environ.get(message["name"]), sys.argv[1:])

    def die(self, message):
        print("going down", flush=True)
        os._exit(3)

    def start(self, message):
        """A process that would outlive us."""
        print("started", subprocess.Popen(["sleep", "600"]).pid)
