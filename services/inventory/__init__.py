"""services/inventory"""
