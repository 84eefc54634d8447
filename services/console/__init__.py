"""services/console"""
