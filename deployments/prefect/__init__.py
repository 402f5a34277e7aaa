"""Prefect around the flows: servers, workers, pools, deployments, automations."""
