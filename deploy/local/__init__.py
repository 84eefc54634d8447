"""deploy/local"""
