"""The console's pages, each a module with `routes(site)` and a template of the same name."""
