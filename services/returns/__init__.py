"""services/returns"""
