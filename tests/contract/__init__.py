"""tests/contract"""
