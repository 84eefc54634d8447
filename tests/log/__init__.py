"""tests/log"""
