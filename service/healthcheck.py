"""Health check: asks a server on this machine whether it is ready; the container image runs it.

    python -m service.healthcheck

Address and port are those of DRAGOMAN_HOST and DRAGOMAN_PORT. No proxy is asked, whatever the
environment says. The exit status is 0 if the server is ready, otherwise 1.
"""

import http.client
import os
import sys
from collections.abc import Mapping

EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to reach a server that listens on every address."""
TIMEOUT_S = 4.0


def is_ready(environment: Mapping[str, str]) -> bool:
    """Whether the server that these variables describe answers /readyz with 200."""
    host = environment.get("DRAGOMAN_HOST", "")
    port = int(environment.get("DRAGOMAN_PORT") or 8000)
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_ready(os.environ))
