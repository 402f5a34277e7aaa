"""Lambda's public cloud API on loopback; an instance is a process that runs its user data."""

from tests.emulators.lambda_api.cloud import Cloud, Instance
from tests.emulators.lambda_api.server import LambdaEmulator

__all__ = ["Cloud", "Instance", "LambdaEmulator"]
