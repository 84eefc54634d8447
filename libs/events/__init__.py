"""libs/events"""
