"""The console in a real browser: what people see, press and read, page by page."""
