"""The contracts: versioned events and commands of every stage, their catalogue and upcasts. Pure."""
