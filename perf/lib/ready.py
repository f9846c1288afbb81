"""Waits until a server describes every title, at most a minute in all: some open their port before they know them.

ready.py URL...
"""

import socket
import sys
import time
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0


def describes(url):
    parts = urlsplit(url)
    request = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    try:
        with socket.create_connection((parts.hostname, parts.port or 554), timeout=5) as connection:
            connection.sendall(request.encode())
            return connection.recv(1024).startswith(b"RTSP/1.0 200 ")
    except OSError:
        return False


def main(urls):
    end = time.monotonic() + TIMEOUT_SECONDS
    for url in urls:
        while not describes(url):
            if time.monotonic() > end:
                return f"{url} is not described"
            time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
