"""tests/flow"""
