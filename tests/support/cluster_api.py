"""The Kubernetes API as tests speak it: one connection, JSON (or YAML as people write it), and what the server says when it refuses."""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

BEATS: Final = "/apis/channelbeat.dev/v1alpha1/namespaces/{}/beatschedules"
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
YAML: Final = "application/yaml"
IDLE: Final = 60.0  # seconds, after which the server may have ended a connection


class Refused(Exception):
    """The server's answer, when it is no success: `status` is HTTP's, `causes` the sentences of a Status by the fields they are about."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(answer.get("message", answer))
        self.status = status
        self.causes = [(cause.get("field", ""), cause.get("message", "")) for cause in answer.get("details", {}).get("causes", [])]


class Api:
    """`user`: whom the administrator plays. For one thread; a connection that ended is made anew with the next call."""

    def __init__(self, url: str, *, ca: Path, token: str, user: str = "", timeout: float = 30) -> None:
        self.url, self.ca, self.token, self.timeout = url, ca, token, timeout
        self._headers = {"Authorization": f"Bearer {token}"} | ({"Impersonate-User": user} if user else {})
        self._connection: http.client.HTTPSConnection | None = None
        self._used = time.monotonic()
        self._played: list[Api] = []

    def as_user(self, name: str) -> "Api":
        """The same server for another user, who has the rights that tests have given to the name."""
        self._played.append(Api(self.url, ca=self.ca, token=self.token, user=name, timeout=self.timeout))
        return self._played[-1]

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> Any:
        return self.call("GET", path, accept=accept, **query)

    def table(self, path: str) -> Any:
        """What `kubectl get` prints."""
        return self.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")

    def create(self, path: str, body: object, *, content: str = "application/json", **query: str) -> Any:
        """`body` may be text: YAML, with content=YAML."""
        return self.call("POST", path, body, content=content, **query)

    def patch(self, path: str, body: object, *, content: str = MERGE, **query: str) -> Any:
        return self.call("PATCH", path, body, content=content, **query)

    def apply(self, path: str, body: object, *, manager: str = "tests", **query: str) -> Any:
        """Server-side apply; `path` names the object."""
        return self.patch(path, body, content=APPLY, fieldManager=manager, **query)

    def delete(self, path: str, **query: str) -> Any:
        return self.call("DELETE", path, **query)

    def call(self, method: str, path: str, body: object = None, *, content: str = "application/json", accept: str = "application/json", **query: str) -> Any:
        """The server's answer; Refused when it is no success, OSError when there is none."""
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        headers = self._headers | {"Accept": accept, "Content-Type": content}
        if time.monotonic() - self._used > IDLE:
            self.close()
        self._used = time.monotonic()
        connection = self._connection or self._connect()
        self._connection = None  # it is kept only after an answer that was read to its end
        try:
            connection.request(method, f"{path}?{urlencode(query)}", text.encode() if text is not None else None, headers)
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        if response.will_close:
            connection.close()
        else:
            self._connection = connection
        answer: Any = said.decode()
        with suppress(ValueError):
            answer = json.loads(said)
        if response.status >= 400:
            raise Refused(response.status, answer if isinstance(answer, dict) else {"message": answer})
        return answer

    def close(self) -> None:
        for api in self._played:
            api.close()
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPSConnection:
        address = urlsplit(self.url)
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(address.hostname or "", address.port, timeout=self.timeout, context=context)
