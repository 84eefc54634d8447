"""services/notifications"""
