"""libs/runtime"""
