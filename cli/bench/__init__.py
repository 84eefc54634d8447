"""`orderlog bench`: what the running stack reaches, beside the floor of the same hops without work."""
