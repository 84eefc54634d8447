"""services/fulfillment"""
