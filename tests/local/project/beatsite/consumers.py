import os
import subprocess
import sys
import time

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

    def stumble(self, message):
        """Handled at the second attempt."""
        if message["beat"]["attempt"] == 1:
            raise ValueError("boom")
        self.done(message)

    def fail(self, message):
        raise ValueError("boom")

    def hang(self, message):
        """Until it is killed; handled at the second attempt."""
        if message["beat"]["attempt"] == 1:
            print("hanging", os.getpid(), flush=True)
            time.sleep(600)  # noqa: TID251 - people's own code
        self.done(message)

    def slowly(self, message):
        print("begun", flush=True)
        time.sleep(2)  # noqa: TID251
        self.done(message)

    def wait(self, message):
        """Until there is a file of that name."""
        print("begun", message["text"], flush=True)
        while not os.path.exists(message["text"]):
            time.sleep(0.05)  # noqa: TID251
        self.done(message)

    def done(self, message):
        print("handled", message["text"], message["beat"]["run"], "at attempt", message["beat"]["attempt"])
