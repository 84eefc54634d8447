"""The demo: a real retailer's month through the running stack, and the proof of what came out."""
