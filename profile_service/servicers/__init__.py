"""Protobuf to domain and back, and nothing else: a module for each kind of thing.

Each class carries out some calls of a service, which are described in its contract. What is
wrong raises a ProfileServiceError; `calls.py` makes a status of it.
"""

from deidcascade.v1 import access_service_pb2, profile_service_pb2, table_service_pb2

PROFILE_SERVICE = profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"]
TABLE_SERVICE = table_service_pb2.DESCRIPTOR.services_by_name["TableService"]
ACCESS_SERVICE = access_service_pb2.DESCRIPTOR.services_by_name["AccessService"]
