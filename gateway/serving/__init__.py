"""Between a socket and ASGI: HTTP/1.1, listening, workers, TLS, reloading, stopping."""
