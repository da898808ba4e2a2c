"""The log of DeidService: one canonical line per stream and one per file."""

from profile_service.serving.logs import Log

LOG = Log("deid_service")
