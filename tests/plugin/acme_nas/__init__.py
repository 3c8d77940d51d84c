"""One of everything that nas-proxy can be extended by."""
