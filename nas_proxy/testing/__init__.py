"""Conformance suites for the extension points: what a search space, a device, a mapper of your own must satisfy.

Each module has ``CHECKS`` to parametrise a test with: functions that raise ``AssertionError`` saying what is violated.
"""
