"""The log of ProfileService: one canonical line per call.

A resource name is told only when it is one: what a caller sends in place of a name
could be anything.
"""

from profile_service.serving.logs import Log

LOG = Log("profile_service")
