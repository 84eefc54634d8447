"""Every side effect, written once: the stage loop, the log, the relay, the HTTP edge, telemetry."""
