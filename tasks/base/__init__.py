"""Contracts that every room stands on: parameters, records, artifacts, steps, locks, errors, ledger."""
