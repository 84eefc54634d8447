"""A whole year of a real retailer, through the real inventory stage, against a recount by other means."""
